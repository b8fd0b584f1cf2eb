/*
 * The floor: what comes in goes out again, whole chunks, nothing looked at.
 *
 *   echo [PORT]      prints the port on stdout; serves on loopback until it is killed
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <signal.h>
#include <unistd.h>

/* What one connection is yet to be sent: nothing, mostly. While there is something it is not read. */
struct conn {
    int fd;
    size_t len, off;
    char *rest;
};

static char chunk[1 << 18];

static int rearm(int loop, struct conn *c, unsigned events) {
    struct epoll_event e = {.events = events, .data.ptr = c};
    return epoll_ctl(loop, EPOLL_CTL_MOD, c->fd, &e);
}

static void end(struct conn *c) {
    close(c->fd);
    free(c->rest);
    free(c);
}

static void serve(int loop, struct conn *c) {
    if (c->rest) {
        ssize_t n = send(c->fd, c->rest + c->off, c->len - c->off, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR) return end(c);
        if (n > 0) c->off += (size_t)n;
        if (c->off < c->len) return;
        free(c->rest);
        c->rest = NULL;
        rearm(loop, c, EPOLLIN);
        return;
    }
    ssize_t got = recv(c->fd, chunk, sizeof chunk, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) return end(c);
    ssize_t sent = send(c->fd, chunk, (size_t)got, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) return end(c);
    if (sent < 0) sent = 0;
    if (sent == got) return;
    c->len = (size_t)(got - sent);
    c->off = 0;
    c->rest = malloc(c->len);
    if (!c->rest) return end(c);
    memcpy(c->rest, chunk + sent, c->len);
    rearm(loop, c, EPOLLOUT);
}

int main(int argc, char **argv) {
    /* Whoever started it and is gone, however, takes it along. */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    struct rlimit files;
    if (!getrlimit(RLIMIT_NOFILE, &files)) files.rlim_cur = files.rlim_max, setrlimit(RLIMIT_NOFILE, &files);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((unsigned short)(argc > 1 ? atoi(argv[1]) : 0))};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t len = sizeof at;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 1024) ||
        getsockname(listener, (struct sockaddr *)&at, &len)) {
        perror("echo");
        return 1;
    }
    printf("listening on tcp 127.0.0.1:%d\n", ntohs(at.sin_port));
    fflush(stdout);
    int loop = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL}, ready[256];
    epoll_ctl(loop, EPOLL_CTL_ADD, listener, &e);
    for (;;) {
        int n = epoll_wait(loop, ready, 256, -1);
        for (int i = 0; i < n; i++) {
            if (ready[i].data.ptr) {
                serve(loop, ready[i].data.ptr);
                continue;
            }
            int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
            struct conn *c = fd < 0 ? NULL : calloc(1, sizeof *c);
            if (!c) continue;
            c->fd = fd;
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            struct epoll_event mine = {.events = EPOLLIN, .data.ptr = c};
            epoll_ctl(loop, EPOLL_CTL_ADD, fd, &mine);
        }
    }
}
