/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A feed's text to indicators. Pure: text in, indicators out. What does not look like a list at all
 * is refused as a whole; the formats (formats/) report and leave out what they cannot read.
 */
#include "formats/reader.h"

#include <errno.h>

#define JUDGED_FROM 10 /* entries; fewer are too few to call it "not a list" */

static const struct {
	const char *name;
	bh_format_fn read;
} formats[] = {
	{"plain", bh_format_plain},
	{"firehol", bh_format_plain},
	{"spamhaus", bh_format_spamhaus},
	{"feodo", bh_format_feodo},
	{"threatfox", bh_format_threatfox},
	{"dshield", bh_format_dshield},
	{"alienvault", bh_format_alienvault},
	{"iprep", bh_format_iprep},
	{"misp", bh_format_misp},
	{"stix", bh_format_stix},
	{"crowdsec", bh_format_crowdsec},
	{"kept", bh_format_kept},
};

const char *const bh_feed_formats[] = {"auto", "plain", "firehol", "spamhaus", "feodo", "threatfox",
	"dshield", "alienvault", "iprep", "misp", "stix", "crowdsec", NULL};

static size_t find_format(const char *name)
{
	size_t i = 0;
	while (i < BH_ARRAY_SIZE(formats) && !bh_streq(formats[i].name, name))
		i++;
	return i;
}

static bool is_markup(const char *text, size_t len)
{
	while (len && (bh_reader_blank(*text) || *text == '\n')) {
		text++;
		len--;
	}
	return len && *text == '<';
}

static const char *not_a_feed(const char *text, size_t len)
{
	if (len > BH_FEED_MAX_BYTES)
		return "is larger than a feed may be";
	if (is_markup(text, len))
		return "is an HTML or XML page, not a list";
	if (len && memchr(text, '\0', len))
		return "holds NUL bytes: not a text";
	return NULL;
}

static int judge(struct bh_reader *r)
{
	const struct bh_indicators *ind = &r->out->ind;
	unsigned percent = r->opts->max_rejected_percent;
	if (ind->lines < JUDGED_FROM || ind->rejected * 100 <= ind->lines * percent)
		return 0;
	return bh_reader_refuse(r, percent == 50
					   ? "cannot be read: more than half of its lines are no "
					     "indicators"
					   : "cannot be read: more of its lines are no indicators "
					     "than max_rejected_percent allows");
}

static int read_text(struct bh_reader *r, const char *format)
{
	size_t i = find_format(format);
	if (i == BH_ARRAY_SIZE(formats))
		return bh_reader_refuse(r, "is of a format that nobody knows");
	r->out->format = formats[i].name;
	int rc = formats[i].read(r);
	if (rc < 0)
		return rc;
	bh_reader_report_rest(r);
	return judge(r);
}

/* An error, and −EINVAL. */
static int refused(struct bh_reader *r)
{
	if (r->diags)
		bh_diag_add(r->diags, BH_ERROR, r->opts->name, (int)r->line, 0, NULL,
			"check that the address leads to a feed, and `format`", "%s", r->refusal);
	bh_feed_text_finish(r->out);
	return -EINVAL;
}

int bh_feed_read(const struct bh_feed_read_opts *opts, const char *text, size_t len,
	struct bh_diags *diags, struct bh_feed_text *ret)
{
	struct bh_feed_read_opts o = *opts;
	struct bh_feed_text out = {.declared = -1};
	struct bh_reader r = {.opts = &o, .diags = diags, .out = &out};

	o.widest4 = o.widest4 ? o.widest4 : BH_FEED_WIDEST_V4;
	o.widest6 = o.widest6 ? o.widest6 : BH_FEED_WIDEST_V6;
	o.max_rejected_percent = o.max_rejected_percent ? o.max_rejected_percent : 50;
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		text += 3;
		len -= 3;
	}
	r.refusal = not_a_feed(text, len);
	if (r.refusal)
		return refused(&r);
	r.text = text;
	r.end = text + len;
	bool detect = !o.format || bh_streq(o.format, "auto");
	if (read_text(&r, detect ? bh_format_detect(text, len) : o.format) < 0)
		return refused(&r);
	*ret = out;
	return 0;
}

void bh_feed_text_finish(struct bh_feed_text *t)
{
	bh_indicators_finish(&t->ind);
	bh_indicators_finish(&t->removed);
	free(t->credit);
	free(t->dated);
	*t = (struct bh_feed_text){0};
}
