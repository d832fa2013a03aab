/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Packets for the stock-kernel test: an echo server, and a probe that tells the four ways in which
 * a connection can end. A program of its own because neither busybox nc nor wget tell a refusal
 * from an administrative prohibition, and because it is static and has the virtual machine to
 * itself. Used in network namespaces only; opens what it is told to and nothing else.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_PORTS 32
#define PING "ping"
#define TALK_STEP_MS 200 /* between two bytes of a conversation */
#define TALK_SILENCE_MS 3000 /* unanswered for so long: the flow is cut */

static void die(const char *what)
{
	fprintf(stderr, "traffic: %s: %s\n", what, strerror(errno));
	exit(2);
}

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000L + t.tv_nsec / 1000000;
}

static bool readable(int fd, long timeout_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, timeout_ms > 0 ? (int)timeout_ms : 0) > 0;
}

/* "tcp/80" → socket type and port. */
static int parse_service(const char *text, uint16_t *ret_port)
{
	int type = strncmp(text, "tcp/", 4) == 0 ? SOCK_STREAM : SOCK_DGRAM;
	long port = strtol(text + 4, NULL, 10);

	if ((type == SOCK_DGRAM && strncmp(text, "udp/", 4) != 0) || port < 1 || port > 65535) {
		errno = EINVAL;
		die(text);
	}
	*ret_port = (uint16_t)port;
	return type;
}

static socklen_t parse_address(const char *text, uint16_t port, struct sockaddr_storage *ret)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;

	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		return sizeof(*v4);
	}
	if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		return sizeof(*v6);
	}
	errno = EINVAL;
	die(text);
	return 0;
}

static int listen_on(const char *service)
{
	static const int yes = 1, no = 0;
	struct sockaddr_in6 any = {.sin6_family = AF_INET6};
	uint16_t port;
	int type = parse_service(service, &port), fd = socket(AF_INET6, type, 0);

	any.sin6_port = htons(port);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
	setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &yes, sizeof(yes));
	if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0)
		die(service);
	if (type == SOCK_STREAM && listen(fd, 64) < 0)
		die(service);
	return fd;
}

/* Answers from the address that was asked: the outside has several. */
static void echo_datagram(int fd)
{
	char data[2048], control[256];
	struct sockaddr_in6 from;
	struct iovec iov = {.iov_base = data, .iov_len = sizeof(data)};
	struct msghdr m = {.msg_name = &from,
		.msg_namelen = sizeof(from),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(fd, &m, 0);

	if (n < 0)
		return;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO)
			((struct in6_pktinfo *)CMSG_DATA(c))->ipi6_ifindex = 0; /* any */
	iov.iov_len = (size_t)n;
	sendmsg(fd, &m, 0);
}

static void echo_stream(int fd)
{
	char data[2048];
	ssize_t n;
	int c = accept(fd, NULL, NULL);

	if (c < 0)
		return;
	if (fork() == 0) {
		while ((n = read(c, data, sizeof(data))) > 0)
			if (write(c, data, (size_t)n) != n)
				break;
		_exit(0);
	}
	close(c);
}

/* Returns in the parent when every port is open; the child serves until it is killed. */
static int serve(int n, char **services)
{
	struct pollfd p[MAX_PORTS];
	bool stream[MAX_PORTS];

	if (n > MAX_PORTS) {
		errno = E2BIG;
		die("serve");
	}
	for (int i = 0; i < n; i++) {
		p[i] = (struct pollfd){.fd = listen_on(services[i]), .events = POLLIN};
		stream[i] = services[i][0] == 't';
	}
	pid_t pid = fork();
	if (pid < 0)
		die("fork");
	if (pid > 0)
		return 0;
	setsid();
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		if (poll(p, (nfds_t)n, -1) < 0)
			continue;
		for (int i = 0; i < n; i++)
			if (p[i].revents)
				stream[i] ? echo_stream(p[i].fd) : echo_datagram(p[i].fd);
	}
}

static const char *refusal(int err)
{
	switch (err) {
	case ECONNREFUSED:
		return "closed";
	case EHOSTUNREACH:
	case EACCES:
	case EPERM:
		return "reject";
	case ETIMEDOUT:
		return "drop";
	default:
		return strerror(err);
	}
}

/* What the server answers until `end`: three sends of a datagram, as one lost is no verdict. */
static const char *ask(int fd, bool datagram, long end)
{
	char answer[64];
	int sends = datagram ? 3 : 1;

	for (int i = sends; i > 0; i--) {
		if (send(fd, PING, strlen(PING), MSG_NOSIGNAL) < 0)
			return refusal(errno);
		if (!readable(fd, (end - now_ms()) / i))
			continue;
		ssize_t n = recv(fd, answer, sizeof(answer), 0);
		if (n < 0)
			return refusal(errno);
		return n == (ssize_t)strlen(PING) && memcmp(answer, PING, (size_t)n) == 0
			       ? "open"
			       : "garbage";
	}
	return "drop";
}

static int start_connect(const char *service, const char *address, int flags,
	struct sockaddr_storage *ret_to, socklen_t *ret_len)
{
	uint16_t port;
	int type = parse_service(service, &port);

	*ret_len = parse_address(address, port, ret_to);
	int fd = socket(ret_to->ss_family, type | flags, 0);
	if (fd < 0)
		die("socket");
	return fd;
}

/* "open" (answered), "closed" (refused), "reject" (administratively), "drop" (silence). */
static int probe(const char *service, const char *address, long timeout_ms)
{
	struct sockaddr_storage to;
	socklen_t len;
	int err = 0, fd = start_connect(service, address, SOCK_NONBLOCK, &to, &len);
	socklen_t size = sizeof(err);
	long end = now_ms() + timeout_ms;
	const char *verdict = "drop";

	if (connect(fd, (struct sockaddr *)&to, len) < 0 && errno != EINPROGRESS)
		err = errno;
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	if (err) {
		verdict = refusal(err);
	} else if (poll(&p, 1, (int)timeout_ms) > 0) {
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &size);
		verdict = err ? refusal(err) : ask(fd, service[0] == 'u', end);
	}
	puts(verdict);
	return 0;
}

/* A conversation over one TCP connection for so many seconds: "alive", "cut" or "refused". A line
 * "talking" tells when it has begun. */
static int talk(const char *service, const char *address, long seconds)
{
	struct sockaddr_storage to;
	socklen_t len;
	char c;
	int fd = start_connect(service, address, 0, &to, &len);
	long end = now_ms() + seconds * 1000;

	if (connect(fd, (struct sockaddr *)&to, len) < 0) {
		puts("refused");
		return 0;
	}
	puts("talking");
	fflush(stdout);
	while (now_ms() < end) {
		if (send(fd, "x", 1, MSG_NOSIGNAL) != 1 || !readable(fd, TALK_SILENCE_MS) ||
			recv(fd, &c, 1, 0) != 1) {
			puts("cut");
			return 0;
		}
		usleep(TALK_STEP_MS * 1000);
	}
	puts("alive");
	return 0;
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc > 2 && strcmp(argv[1], "serve") == 0)
		return serve(argc - 2, argv + 2);
	if (argc == 5 && strcmp(argv[1], "probe") == 0)
		return probe(argv[2], argv[3], strtol(argv[4], NULL, 10));
	if (argc == 5 && strcmp(argv[1], "talk") == 0)
		return talk(argv[2], argv[3], strtol(argv[4], NULL, 10));
	fputs("usage: traffic serve tcp/PORT|udp/PORT…\n"
	      "       traffic probe tcp/PORT|udp/PORT ADDRESS MILLISECONDS\n"
	      "       traffic talk tcp/PORT ADDRESS SECONDS\n",
		stderr);
	return 2;
}
