/*
 * A load generator for lines of JSON: one process, one epoll loop, nothing per request that can be made beforehand.
 *
 *   load --port P --connections N --in-flight M --seconds S [--warmup S] [--rate R] [--kind K] [--token T]
 *        [--logins 10000] [--first-login 1001] [--prefix STR] [--keys K]      (all but --port may be left out)
 *
 * Kinds:
 *   deposit        BalanceInSync, each with an extID of its own; every answer must be a fresh 200
 *   deposit-plain  BalanceIn, the same
 *   replay         a set of keys is booked once, before the time that counts; then they are repeated: "replayed":true
 *   refusal        BalanceOutSync of more than there is: every answer must be a 409
 *   account        GetAccountByLogin
 *   echo           the lines of a deposit, of which the very same come back
 *   subscribe      sessions that get every event; what came is counted, until SIGTERM or the time is up
 *   catchup        one session that gets everything from seq 0 on, until replay:done
 *
 * Without --rate a request follows an answer (closed loop, N x M of them under way). With it requests come at a fixed
 * rate over all connections, whatever the answers do, and latency counts from when each was to be sent. Every one that
 * was to be sent in the time that counts has its latency counted, however late its answer is: so a stall is seen.
 *
 * Prints "ready" on stderr once all sessions stand, and one JSON object on stdout. Exit status 0 only if every answer
 * was what it had to be: a run with wrong answers has no speed.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

typedef uint64_t u64;

/* How long what is under way at the end is waited for. */
#define PATIENCE_NS 10000000000u

enum kind { DEPOSIT, PLAIN, REPLAY, REFUSAL, ACCOUNT, ECHO, SUBSCRIBE, CATCHUP, KINDS };
static const char *const NAMES[KINDS] = {"deposit", "deposit-plain", "replay",    "refusal",
                                         "account", "echo",          "subscribe", "catchup"};

static struct {
    int port, connections, inFlight, logins, firstLogin, keys;
    double seconds, warmup, rate;
    enum kind kind;
    const char *token, *prefix;
} opt = {0, 1, 1, 10000, 1001, 10000, 3, 0.5, 0, DEPOSIT, "", ""};

/* What one connection has: bytes that are no whole line yet, and bytes that the kernel did not take yet. */
struct conn {
    int fd, closed, waitsToWrite;
    char *in, *out;
    size_t inLen, inCap, outLen, outOff, outCap;
    u64 lastSeq;
};

/* A request under way. Its number, modulo the number of slots, is its slot: so an answer finds it without a search. */
struct slot {
    u64 number, sentNs, turn;
    int conn, busy;
};

static struct conn *conns;
static struct slot *slots;
static u64 slotCount, *freeSlots, freeCount;
static int epollFd, sending = 1;

/* What came of it. */
static u64 answersIn, answersAll, timed, statuses[1000], replayed, wrong, strays, events, eventBytes, closedByPeer, unordered;
static u64 firstEventNs, lastEventNs, windowStart, windowEnd, replayRounds;
static int catchupDone;
static char example[400];
static volatile sig_atomic_t stopped;

/* Latencies in ns: each power of two cut into 128, so nothing is off by more than a percent. */
#define CUTS 7
static u64 histogram[64 << CUTS];
static u64 maxNs;

static u64 now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (u64)t.tv_sec * 1000000000u + (u64)t.tv_nsec;
}

static void die(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fprintf(stderr, "load: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    exit(2);
}

static void *need(void *memory) {
    if (!memory) die("out of memory");
    return memory;
}

static void keepLatency(u64 ns) {
    unsigned high = ns < (1u << CUTS) ? 0 : 63 - CUTS - (unsigned)__builtin_clzll(ns) + 1;
    histogram[((u64)high << CUTS) + ((high ? ns >> (high - 1) : ns) & ((1u << CUTS) - 1))]++;
    if (ns > maxNs) maxNs = ns;
    timed++;
}

static double percentileUs(double share) {
    u64 total = 0, seen = 0;
    for (size_t i = 0; i < sizeof histogram / sizeof *histogram; i++) total += histogram[i];
    for (size_t i = 0; i < sizeof histogram / sizeof *histogram; i++) {
        seen += histogram[i];
        if (total && (double)seen >= share * (double)total) {
            u64 high = i >> CUTS, low = i & ((1u << CUTS) - 1);
            return (double)(high ? (low | (1u << CUTS)) << (high - 1) : low) / 1e3;
        }
    }
    return 0;
}

/* -- the line of a request ----------------------------------------------------------------------------- */

static char head[512], middle[64], tail[8192];
static size_t headLen, middleLen, tailLen, prefixLen;
static char (*loginText)[12];
static unsigned char *loginLen;
#define LINE_MAX_BYTES (sizeof head + sizeof middle + sizeof tail + 64)

static void prepareLines(void) {
    static const char *const commands[KINDS] = {"BalanceInSync",     "BalanceIn",     "BalanceInSync", "BalanceOutSync",
                                                "GetAccountByLogin", "BalanceInSync", "",              ""};
    char token[4200] = "";
    if (strlen(opt.token) > 4096 || strlen(opt.prefix) > 100) die("token or prefix too long");
    if (*opt.token) snprintf(token, sizeof token, ",\"__token\":\"%s\"", opt.token);
    headLen = (size_t)snprintf(head, sizeof head, "{\"command\":\"%s\",\"extID\":\"%s-", commands[opt.kind],
                               opt.prefix);
    middleLen = (size_t)snprintf(middle, sizeof middle, "\",\"data\":{\"login\":");
    tailLen = (size_t)snprintf(tail, sizeof tail, "%s}%s}\r\n",
                               opt.kind == ACCOUNT ? "" : ",\"comment\":\"Payment gateway deposit\"", token);
    prefixLen = strlen(opt.prefix);
    loginText = need(calloc((size_t)opt.logins, sizeof *loginText));
    loginLen = need(calloc((size_t)opt.logins, 1));
    for (int i = 0; i < opt.logins; i++)
        loginLen[i] = (unsigned char)snprintf(loginText[i], sizeof *loginText, "%d", opt.firstLogin + i);
}

static char *put(char *to, const char *from, size_t len) {
    memcpy(to, from, len);
    return to + len;
}

static char *putNumber(char *to, u64 number) {
    char digits[20];
    int i = 20;
    do digits[--i] = (char)('0' + number % 10);
    while (number /= 10);
    return put(to, digits + i, (size_t)(20 - i));
}

/* The same number always makes the same line: a repeat must be one. */
static char *putLine(char *to, u64 number) {
    u64 mixed = (number + 1) * 0x9E3779B97F4A7C15u;
    mixed ^= mixed >> 29;
    size_t login = (size_t)((mixed >> 8) % (u64)opt.logins);
    to = put(to, head, headLen);
    to = putNumber(to, number);
    to = put(to, middle, middleLen);
    to = put(to, loginText[login], loginLen[login]);
    if (opt.kind != ACCOUNT) {
        u64 cents = 100 + mixed % 99900;
        to = put(to, ",\"amount\":", 10);
        if (opt.kind == REFUSAL) to = put(to, "-98765", 6);
        to = putNumber(to, cents / 100);
        *to++ = '.';
        *to++ = (char)('0' + cents / 10 % 10);
        *to++ = (char)('0' + cents % 10);
    }
    return put(to, tail, tailLen);
}

/* -- sending ------------------------------------------------------------------------------------------- */

static char *room(struct conn *c, size_t bytes) {
    if (c->outLen + bytes > c->outCap) {
        c->outCap = 2 * c->outCap + bytes;
        c->out = need(realloc(c->out, c->outCap));
    }
    return c->out + c->outLen;
}

static void queueRequest(struct conn *c, u64 slot, u64 sentNs) {
    struct slot *s = &slots[slot];
    u64 turn = s->turn++;
    if (opt.kind == REPLAY) turn %= replayRounds;
    s->number = turn * slotCount + slot;
    s->sentNs = sentNs;
    s->conn = (int)(c - conns);
    s->busy = 1;
    char *from = room(c, LINE_MAX_BYTES);
    c->outLen += (size_t)(putLine(from, s->number) - from);
}

static void closeConn(struct conn *c) {
    if (c->closed) return;
    c->closed = 1;
    close(c->fd);
}

static void flush(struct conn *c) {
    while (!c->closed && c->outOff < c->outLen) {
        ssize_t n = send(c->fd, c->out + c->outOff, c->outLen - c->outOff, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno != EAGAIN) {
            closedByPeer++;
            closeConn(c);
            return;
        }
        if (n < 0) break;
        c->outOff += (size_t)n;
    }
    int waits = c->outOff < c->outLen;
    if (!waits) c->outOff = c->outLen = 0;
    if (waits != c->waitsToWrite && !c->closed) {
        struct epoll_event e = {.events = EPOLLIN | (waits ? (unsigned)EPOLLOUT : 0u), .data.ptr = c};
        epoll_ctl(epollFd, EPOLL_CTL_MOD, c->fd, &e);
        c->waitsToWrite = waits;
    }
}

/* -- what comes back ----------------------------------------------------------------------------------- */

static void keepExample(const char *line, size_t len) {
    if (*example) return;
    size_t out = 0;
    for (size_t i = 0; i < len && out < sizeof example - 3; i++) {
        if (line[i] == '"' || line[i] == '\\') example[out++] = '\\';
        if ((unsigned char)line[i] >= 32) example[out++] = line[i];
    }
}

static const char *after(const char *line, const char *end, const char *what, size_t len) {
    /* Mostly it is right here. */
    if ((size_t)(end - line) >= len && !memcmp(line, what, len)) return line + len;
    const char *found = memmem(line, (size_t)(end - line), what, len);
    return found ? found + len : NULL;
}
#define AFTER(line, end, text) after(line, end, text, sizeof(text) - 1)

static int expected(int status, int again) {
    if (opt.kind == REFUSAL) return status == 409 && !again;
    if (opt.kind == REPLAY) return status == 200 && (again || !windowStart);
    return status == 200 && !again;
}

static void onAnswer(struct conn *c, const char *line, const char *end, u64 at) {
    const char *p = end > line ? AFTER(line + 1, end, "\"extID\":\"") : NULL;
    if (p == NULL || (size_t)(end - p) <= prefixLen || memcmp(p, opt.prefix, prefixLen) || p[prefixLen] != '-') {
        strays++;
        keepExample(line, (size_t)(end - line));
        return;
    }
    u64 number = 0;
    for (p += prefixLen + 1; p < end && *p >= '0' && *p <= '9'; p++) number = number * 10 + (u64)(*p - '0');
    u64 slot = number % slotCount;
    struct slot *s = &slots[slot];
    if (!s->busy || s->number != number) {
        strays++;
        keepExample(line, (size_t)(end - line));
        return;
    }
    int status = 0, again = 0;
    if (opt.kind == ECHO) {
        status = 200;
    } else if ((p = AFTER(p, end, "\",\"status\":")) != NULL || (p = AFTER(line, end, "\"status\":")) != NULL) {
        for (; p < end && *p >= '0' && *p <= '9'; p++) status = status * 10 + (*p - '0');
        again = end - p > 16 && !memcmp(p, ",\"replayed\":true", 16);
    }
    answersAll++;
    statuses[status > 0 && status < 1000 ? status : 0]++;
    replayed += (u64)again;
    if (!expected(status, again)) {
        wrong++;
        keepExample(line, (size_t)(end - line));
    }
    int inWindow = at >= windowStart && at < windowEnd && windowStart;
    answersIn += (u64)inWindow;
    /* At a fixed rate those that a stall kept waiting past the end are the very ones that show it. */
    if (opt.rate > 0 ? s->sentNs >= windowStart && s->sentNs < windowEnd : inWindow) keepLatency(at - s->sentNs);
    s->busy = 0;
    if (opt.rate > 0)
        freeSlots[freeCount++] = slot;
    else if (sending && !(opt.kind == REPLAY && !windowStart && s->turn >= replayRounds))
        queueRequest(c, slot, at);
}

static void onEvent(struct conn *c, const char *line, const char *end, u64 at) {
    if (end - line >= 22 && !memcmp(line, "{\"event\":\"replay:done\"", 22)) {
        catchupDone = 1;
        lastEventNs = at;
        return;
    }
    events++;
    eventBytes += (u64)(end - line) + 1;
    if (!firstEventNs) firstEventNs = at;
    lastEventNs = at;
    if (opt.kind < SUBSCRIBE) return;
    /* ...,"seq":45,"time":1763836800.25} */
    const char *comma = memrchr(line, ',', (size_t)(end - line));
    if (comma) comma = memrchr(line, ',', (size_t)(comma - line));
    u64 seq = comma && end - comma > 7 && !memcmp(comma, ",\"seq\":", 7) ? strtoull(comma + 7, NULL, 10) : 0;
    if (seq <= c->lastSeq) {
        unordered++;
        keepExample(line, (size_t)(end - line));
    }
    c->lastSeq = seq;
}

static void onReadable(struct conn *c) {
    if (c->inLen == c->inCap) {
        c->inCap *= 2;
        c->in = need(realloc(c->in, c->inCap));
    }
    ssize_t n = recv(c->fd, c->in + c->inLen, c->inCap - c->inLen, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) {
        closedByPeer++;
        closeConn(c);
        return;
    }
    u64 at = now();
    char *line = c->in, *end = c->in + c->inLen + n, *newline, *from = c->in + c->inLen;
    while ((newline = memchr(from, '\n', (size_t)(end - from))) != NULL) {
        if (newline - line > 9 && !memcmp(line, "{\"event\":", 9))
            onEvent(c, line, newline, at);
        else if (opt.kind < SUBSCRIBE)
            onAnswer(c, line, newline, at);
        else if (!AFTER(line, newline, "\"status\":200")) {
            wrong++;
            keepExample(line, (size_t)(newline - line));
        }
        line = from = newline + 1;
    }
    c->inLen = (size_t)(end - line);
    memmove(c->in, line, c->inLen);
    flush(c);
}

/* -- sessions ------------------------------------------------------------------------------------------ */

static void openConn(struct conn *c) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)opt.port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to)) die("connect: %s", strerror(errno));
    int one = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->inCap = opt.connections > 64 ? 16384 : 262144;
    c->in = need(malloc(c->inCap));
}

/* The first request of a session says which events it wants: none, unless it is there for them. */
static void greet(struct conn *c) {
    char line[4400];
    static const char ask[] = "{\"command\":\"%s\",\"extID\":\"hello-0\",\"data\":{},\"__token\":\"%s\"}\r\n";
    const char *command = opt.kind == SUBSCRIBE ? "SubscribeAll" : "UnsubscribeAll";
    int len = snprintf(line, sizeof line, ask, command, opt.token);
    if (send(c->fd, line, (size_t)len, MSG_NOSIGNAL) != len) die("greeting: %s", strerror(errno));
}

static void awaitGreeting(struct conn *c) {
    for (;;) {
        struct pollfd p = {.fd = c->fd, .events = POLLIN};
        if (poll(&p, 1, 20000) <= 0) die("no answer to the first request of a session");
        if (c->inLen == c->inCap) c->in = need(realloc(c->in, c->inCap *= 2));
        ssize_t n = recv(c->fd, c->in + c->inLen, c->inCap - c->inLen, 0);
        if (n <= 0) die("a session was ended before it began");
        c->inLen += (size_t)n;
        char *newline;
        while ((newline = memchr(c->in, '\n', c->inLen)) != NULL) {
            size_t len = (size_t)(newline - c->in) + 1;
            int answered = memcmp(c->in, "{\"event\":", 9) != 0;
            if (answered && !memmem(c->in, len, "200", 3)) die("the greeting was refused: %.*s", (int)len, c->in);
            if (!answered) onEvent(c, c->in, newline, now());
            memmove(c->in, c->in + len, c->inLen -= len);
            if (answered) return;
        }
    }
}

static void openAll(void) {
    /* A few at a time, each answered before the next: else the listener's backlog overflows, and that costs seconds. */
    for (int first = 0; first < opt.connections; first += 32) {
        int last = first + 32 < opt.connections ? first + 32 : opt.connections;
        for (int i = first; i < last; i++) {
            openConn(&conns[i]);
            if (opt.kind != ECHO) greet(&conns[i]);
        }
        for (int i = first; i < last; i++) {
            if (opt.kind != ECHO) awaitGreeting(&conns[i]);
            fcntl(conns[i].fd, F_SETFL, O_NONBLOCK);
            struct epoll_event e = {.events = EPOLLIN, .data.ptr = &conns[i]};
            epoll_ctl(epollFd, EPOLL_CTL_ADD, conns[i].fd, &e);
        }
    }
    fprintf(stderr, "ready\n");
    fflush(stderr);
}

/* -- the loop ------------------------------------------------------------------------------------------ */

static int turn(int timeoutMs) {
    struct epoll_event ready[256];
    int n = epoll_wait(epollFd, ready, 256, timeoutMs);
    for (int i = 0; i < n; i++) {
        struct conn *c = ready[i].data.ptr;
        if (c == NULL || c->closed) continue;
        if (ready[i].events & EPOLLOUT) flush(c);
        if (!c->closed && ready[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) onReadable(c);
    }
    return n;
}

static u64 underWay(void) {
    u64 count = 0;
    for (u64 i = 0; i < slotCount; i++) count += slots[i].busy && !conns[slots[i].conn].closed;
    return count;
}

static void startClosed(void) {
    u64 at = now();
    for (int i = 0; i < opt.connections; i++) {
        for (int j = 0; j < opt.inFlight; j++) queueRequest(&conns[i], (u64)(i * opt.inFlight + j), at);
        flush(&conns[i]);
        if (i % 32 == 31) turn(0);
    }
}

static int wakeMs(u64 until) {
    u64 at = now();
    u64 ms = at >= until ? 0 : (until - at) / 1000000u + 1;
    return ms > 100 ? 100 : (int)ms;
}

static void runClosed(void) {
    if (opt.kind == REPLAY) {
        /* Book them all, and wait for the last. */
        startClosed();
        u64 total = replayRounds * slotCount, patience = now() + 60000000000u;
        while (answersAll < total && now() < patience && !closedByPeer && !stopped) turn(100);
        if (answersAll < total)
            die("only %llu of %llu keys could be booked", (unsigned long long)answersAll, (unsigned long long)total);
    }
    u64 start = now();
    windowStart = start + (u64)(opt.warmup * 1e9);
    windowEnd = windowStart + (u64)(opt.seconds * 1e9);
    startClosed();
    while (now() < windowEnd && !stopped && !closedByPeer) turn(wakeMs(windowEnd));
}

static void runOpen(void) {
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};
    if (timer < 0 || epoll_ctl(epollFd, EPOLL_CTL_ADD, timer, &e)) die("timerfd: %s", strerror(errno));
    prctl(PR_SET_TIMERSLACK, 1000UL, 0UL, 0UL, 0UL);
    for (u64 i = 0; i < slotCount; i++) freeSlots[freeCount++] = slotCount - 1 - i;
    u64 start = now() + 1000000u, arrivals = 0;
    int next = 0;
    unsigned char *touched = need(calloc((size_t)opt.connections, 1));
    int *touchedList = need(calloc((size_t)opt.connections, sizeof *touchedList)), touchedCount;
    windowStart = start + (u64)(opt.warmup * 1e9);
    windowEnd = windowStart + (u64)(opt.seconds * 1e9);
    /* Whatever is due before the end is sent, even if that is only possible after it. */
    for (u64 due = start; due < windowEnd && !stopped && !closedByPeer;) {
        u64 at = now();
        if (at >= windowEnd + PATIENCE_NS) break;
        touchedCount = 0;
        while ((due = start + (u64)((double)arrivals * 1e9 / opt.rate)) <= at && due < windowEnd && freeCount) {
            queueRequest(&conns[next], freeSlots[--freeCount], due);
            if (!touched[next]) touched[next] = 1, touchedList[touchedCount++] = next;
            next = (next + 1) % opt.connections;
            arrivals++;
        }
        for (int i = 0; i < touchedCount; i++) touched[touchedList[i]] = 0, flush(&conns[touchedList[i]]);
        struct itimerspec when = {.it_value = {(time_t)(due / 1000000000u), (long)(due % 1000000000u)}};
        timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
        turn(due < windowEnd ? 100 : 0);
    }
}

static void runSubscribe(void) {
    u64 end = now() + (u64)(opt.seconds * 1e9);
    while (now() < end && !stopped && !closedByPeer) turn(wakeMs(end));
    /* What was sent before it was told to stop is on its way. */
    u64 patience = now() + 5000000000u;
    while (now() < patience && !closedByPeer && turn(100) != 0) continue;
}

static void runCatchup(void) {
    static const char ask[] =
        "{\"command\":\"Subscribe\",\"extID\":\"catchup-0\",\"data\":{\"chanels\":[\"trade:event\",\"balance:event\","
        "\"user:event\",\"group:event\"],\"from_seq\":0},\"__token\":\"%s\"}\r\n";
    char *to = room(&conns[0], 8192);
    conns[0].outLen += (size_t)snprintf(to, 8192, ask, opt.token);
    windowStart = now();
    u64 end = windowStart + (u64)(opt.seconds * 1e9);
    flush(&conns[0]);
    while (!catchupDone && now() < end && !stopped && !closedByPeer) turn(wakeMs(end));
    if (!catchupDone) wrong++;
}

/* -- the report ---------------------------------------------------------------------------------------- */

static void tell(const char *name, u64 count) {
    printf(",\"%s\":%llu", name, (unsigned long long)count);
}

static int report(u64 unanswered) {
    double seconds = opt.seconds;
    u64 counted = answersIn;
    /* A stall may be as long as the time that counts. */
    int some = counted > 0 || timed > 0;
    if (opt.kind >= SUBSCRIBE) {
        counted = events;
        some = events > 0;
        seconds = (double)(lastEventNs - (opt.kind == CATCHUP ? windowStart : firstEventNs)) / 1e9;
    }
    u64 errors = strays + unanswered + closedByPeer + unordered;
    int ok = !wrong && !errors && (opt.kind == SUBSCRIBE || some);
    printf("{\"kind\":\"%s\",\"connections\":%d,\"in_flight\":%d,\"ok\":%s", NAMES[opt.kind], opt.connections,
           opt.inFlight, ok ? "true" : "false");
    printf(",\"seconds\":%.3f,\"rate\":%.1f,\"rate_asked\":%.1f", seconds,
           seconds > 0 ? (double)counted / seconds : 0, opt.rate);
    printf(",\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"max\":%.1f", percentileUs(.5), percentileUs(.9),
           percentileUs(.99), (double)maxNs / 1e3);
    tell("answers", answersIn);
    tell("timed", timed);
    tell("total", answersAll);
    const char *separator = ",\"statuses\":{";
    for (int i = 0; i < 1000; i++) {
        if (!statuses[i]) continue;
        printf("%s\"%d\":%llu", separator, i, (unsigned long long)statuses[i]);
        separator = ",";
    }
    printf("%s", *separator && separator[1] ? ",\"statuses\":{}" : "}");
    tell("replayed", replayed);
    tell("wrong", wrong);
    tell("errors", errors);
    tell("strays", strays);
    tell("unanswered", unanswered);
    tell("closed", closedByPeer);
    tell("unordered", unordered);
    tell("events", events);
    tell("event_bytes", eventBytes);
    printf(",\"example\":\"%s\"}\n", example);
    return ok ? 0 : 1;
}

static void onSignal(int signal) {
    (void)signal;
    stopped = 1;
}

static void readOptions(int argc, char **argv) {
    const struct {
        const char *name;
        int *whole;
        double *number;
        const char **text;
    } known[] = {
        {"--port", &opt.port, NULL, NULL},         {"--connections", &opt.connections, NULL, NULL},
        {"--in-flight", &opt.inFlight, NULL, NULL}, {"--seconds", NULL, &opt.seconds, NULL},
        {"--warmup", NULL, &opt.warmup, NULL},     {"--rate", NULL, &opt.rate, NULL},
        {"--token", NULL, NULL, &opt.token},       {"--logins", &opt.logins, NULL, NULL},
        {"--prefix", NULL, NULL, &opt.prefix},     {"--first-login", &opt.firstLogin, NULL, NULL},
        {"--keys", &opt.keys, NULL, NULL},
    };
    const size_t count = sizeof known / sizeof *known;
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *value = argv[i + 1];
        size_t k = 0;
        while (k < count && strcmp(known[k].name, argv[i])) k++;
        if (!strcmp(argv[i], "--kind")) {
            for (opt.kind = 0; opt.kind < KINDS && strcmp(NAMES[opt.kind], value); opt.kind++) continue;
            if (opt.kind == KINDS) die("no such kind: %s", value);
        } else if (k == count) {
            die("no such option: %s", argv[i]);
        } else if (known[k].whole) {
            *known[k].whole = atoi(value);
        } else if (known[k].number) {
            *known[k].number = atof(value);
        } else {
            *known[k].text = value;
        }
    }
    if (argc < 3 || argc % 2 == 0) die("every option has a value; --port is needed");
    if (opt.kind == CATCHUP) opt.connections = 1;
    if (opt.port <= 0 || opt.port > 65535 || opt.connections < 1 || opt.connections > 20000 || opt.inFlight < 1 ||
        opt.inFlight > 100000 || opt.seconds <= 0 || opt.warmup < 0 || opt.logins < 1 || opt.keys < 1)
        die("an option is out of bounds");
    if (opt.rate > 0 && opt.kind >= REPLAY && opt.kind != ACCOUNT && opt.kind != ECHO) die("no --rate for this kind");
}

int main(int argc, char **argv) {
    static char name[32];
    snprintf(name, sizeof name, "b%x%x", (unsigned)time(NULL), (unsigned)getpid());
    opt.prefix = name;
    readOptions(argc, argv);
    struct rlimit files;
    if (!getrlimit(RLIMIT_NOFILE, &files)) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    struct sigaction act = {.sa_handler = onSignal};
    sigaction(SIGTERM, &act, NULL);
    sigaction(SIGINT, &act, NULL);
    epollFd = epoll_create1(EPOLL_CLOEXEC);
    conns = need(calloc((size_t)opt.connections, sizeof *conns));
    slotCount = opt.rate > 0 ? 1u << 17 : (u64)opt.connections * (u64)opt.inFlight;
    slots = need(calloc(slotCount, sizeof *slots));
    freeSlots = need(calloc(slotCount, sizeof *freeSlots));
    replayRounds = ((u64)opt.keys + slotCount - 1) / slotCount;
    prepareLines();
    openAll();
    if (opt.kind == SUBSCRIBE) runSubscribe();
    else if (opt.kind == CATCHUP) runCatchup();
    else if (opt.rate > 0) runOpen();
    else runClosed();
    /* What is under way is still answered, and still has to be right; where answers went astray some never will be. */
    sending = 0;
    u64 patience = now() + PATIENCE_NS;
    while (opt.kind < SUBSCRIBE && !closedByPeer && !strays && now() < patience && underWay()) turn(50);
    return report(opt.kind < SUBSCRIBE ? underWay() : 0);
}
