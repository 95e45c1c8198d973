#include "base/uuid.h"

#include "base/auto.h"
#include "kit/test.h"
#include <sys/wait.h>

static void parse(void) {
    static const struct { const char *text; bool want; } CASES[] = {
        {"3fa85f64-5717-4562-b3fc-2c963f66afa6", true}, {"3FA85F64-5717-4562-B3FC-2C963F66AFA6", true},
        {"3fa85f64-5717-4562-b3fc-2c963f66afa", false}, {"3fa85f6405717-4562-b3fc-2c963f66afa6", false},
        {"gfa85f64-5717-4562-b3fc-2c963f66afa6", false}, {"seven", false}, {"", false}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        Uuid u;
        CHECK(uuid_parse(span_of(CASES[i].text), &u) == CASES[i].want);
    }
    Uuid u;
    char out[UUID_TEXT];
    REQUIRE(uuid_parse(SPAN("3FA85F64-5717-4562-B3FC-2C963F66AFA6"), &u));
    uuid_format(&u, out);
    CHECK_SPAN(span_of(out), "3fa85f64-5717-4562-b3fc-2c963f66afa6");
}

static void version_7_increases(void) {
    char last[UUID_TEXT] = "", next[UUID_TEXT];
    for (int i = 0; i < 10000; i++) {
        Uuid u = uuid_v7();
        uuid_format(&u, next);
        REQUIRE(strcmp(next, last) > 0);
        CHECK(next[14] == '7');
        memcpy(last, next, sizeof last);
    }
}

static void version_5_separates_parts(void) {
    Uuid a = uuid_v5(&UUID_COMMANDS, (Span[]){SPAN("a"), SPAN("bc")}, 2);
    Uuid b = uuid_v5(&UUID_COMMANDS, (Span[]){SPAN("ab"), SPAN("c")}, 2);
    Uuid again = uuid_v5(&UUID_COMMANDS, (Span[]){SPAN("a"), SPAN("bc")}, 2);
    CHECK(memcmp(&a, &b, sizeof a) != 0);
    CHECK(memcmp(&a, &again, sizeof a) == 0);
    CHECK(a.bytes[6] >> 4 == 5);
}

static void read_all(int fd, Uuid *ret) { REQUIRE(read(fd, ret, sizeof *ret) == sizeof *ret); }

static void a_child_draws_for_itself(void) {
    int pipe_of[2];
    uuid_v4(); /* so that there is something to inherit */
    REQUIRE(pipe(pipe_of) == 0);
    pid_t pid = fork();
    if (!pid) {
        Uuid mine = uuid_v4();
        _exit(write(pipe_of[1], &mine, sizeof mine) != sizeof mine);
    }
    Uuid ours = uuid_v4(), theirs;
    read_all(pipe_of[0], &theirs);
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    CHECK(memcmp(&ours, &theirs, sizeof ours) != 0);
    close(pipe_of[0]);
    close(pipe_of[1]);
}

static void no_byte_is_drawn_twice(void) {
    unsigned char drawn[64][24]; /* more than one filling of the pool, which these do not divide */
    for (size_t i = 0; i < COUNT(drawn); i++) random_bytes(drawn[i], sizeof drawn[i]);
    for (size_t i = 0; i < COUNT(drawn); i++)
        for (size_t k = 0; k < i; k++) CHECK(memcmp(drawn[i], drawn[k], sizeof drawn[i]) != 0);
}

SUITE("uuid", TEST(a_child_draws_for_itself), TEST(no_byte_is_drawn_twice), TEST(parse), TEST(version_7_increases), TEST(version_5_separates_parts));
