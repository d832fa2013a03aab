/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GET /v1/state: what is in force, as a file that the commands without a daemon read. */
#include <bulkhead/scenario.h>

#include "answer/answer.h"
#include "core/core.h"
#include "core/state.h"

struct bh_answer bh_core_state(struct bh_core *c)
{
	struct bh_buf out = {0};

	if (!c->snap)
		return bh_answer_error(503, NULL, "nothing is in force yet: see `bulkhead status`");
	const struct bh_engine *e = c->snap->engine;
	bh_scenario_print(
		c->node, bh_engine_inventory(e), bh_engine_policies(e), bh_engine_options(e), &out);
	return bh_answer_text(200, "text/yaml", bh_buf_take(&out));
}
