/* bench-path: how long from the POST of a command until its event is on a screen?
 *
 * Commands are sent at a steady rate (an open loop), then a burst of many at once. The time runs from the
 * moment at which the POST was due to the WebSocket message whose event names the command as its cause. */
#include "app/import/client_answer.h"
#include "base/clock.h"
#include "bench/path_run.h"
#include "net/http_client.h"
#include "wire/json/json.h"
#include <curl/curl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>

enum { COMMANDS_MAX = 1000000 };

typedef struct Options {
    const char *url, *user, *password_file;
    double rate, seconds;
    size_t burst;
    bool check;
} Options;

static const char HELP[] =
    "usage: bench-path [options]\n\n"
    "  --url URL             the gateway, http:// and a numeric host [EVENTS_URL, else "
    "http://EVENTS_LISTEN_PLAIN]\n"
    "  --rate N              commands a second [50]\n"
    "  --seconds N           for so long [10]\n"
    "  --burst N             then so many at once; 0: no burst [500]\n"
    "  --user NAME           [demo]\n"
    "  --password-file FILE  [EVENTS_HOME/demo-password]\n"
    "  --check               exit 1 where the median is above 10 ms or the 99th percentile above 40 ms\n";

static const char *setting(const char *name, const char *fallback) {
    const char *value = getenv(name);
    return value && *value ? value : fallback;
}

static bool read_options(int argc, char **argv, Options *o) {
    static const struct option NAMES[] = {
        {"url", 1, 0, 'u'},  {"rate", 1, 0, 'r'},          {"seconds", 1, 0, 's'}, {"burst", 1, 0, 'b'},
        {"user", 1, 0, 'n'}, {"password-file", 1, 0, 'p'}, {"check", 0, 0, 'c'},   {0}};
    for (int option; (option = getopt_long(argc, argv, "", NAMES, NULL)) >= 0;) {
        switch (option) {
        case 'u': o->url = optarg; break;
        case 'r': o->rate = atof(optarg); break;
        case 's': o->seconds = atof(optarg); break;
        case 'b': o->burst = (size_t)atol(optarg); break;
        case 'n': o->user = optarg; break;
        case 'p': o->password_file = optarg; break;
        case 'c': o->check = true; break;
        default: return false;
        }
    }
    double commands = o->rate * o->seconds;
    return optind == argc && commands >= 1 && commands <= COMMANDS_MAX && o->burst <= COMMANDS_MAX &&
           !strncmp(o->url, "http://", 7);
}

static bool read_password(const char *path, char *ret, size_t size, Err *err) {
    FILE *file = fopen(path, "re");
    bool ok = file && fgets(ret, (int)size, file);
    if (file) fclose(file);
    if (!ok) return err_set(err, &ERR_CONFIG, "the password cannot be read; see --password-file");
    ret[strcspn(ret, "\r\n")] = 0;
    return true;
}

static bool login(const Options *o, Arena *arena, char **token, Err *err) {
    static const char *const HEADERS[] = {"Content-Type: application/json", NULL};
    AUTO(HttpClient) client = NULL;
    AUTO_BUF body = {0};
    const HttpReply *reply;
    ClientAnswer answer;
    char password[1026];
    if (!read_password(o->password_file, password, sizeof password, err)) return false;
    JsonWriter w = json_writer(&body);
    json_object(&w);
    json_name(&w, "username");
    json_text(&w, o->user);
    json_name(&w, "password");
    json_text(&w, password);
    json_object_end(&w);
    const char *url = must(arena_printf(arena, "%s/api/auth/login", o->url));
    if (!http_client_open(&(HttpClientOptions){0}, &client, err) ||
        !http_client_call(client, "POST", url, HEADERS, buf_view(&body), &reply, err))
        return false;
    if (reply->status != 200 || !client_answer_read(buf_view(&reply->body), arena, &answer) ||
        !answer.access_token.at)
        return err_set(err, &ERR_UNAVAILABLE, "the login got HTTP %d", reply->status);
    *token = must(arena_copy(arena, answer.access_token));
    return true;
}

static void print_phase(const char *title, const PathResult *r, size_t commands) {
    figures_print_head(title);
    figures_print("POST -> event on the WebSocket", &r->path);
    figures_print("POST -> 202", &r->accept);
    printf("  %-32s %8s %47.2f\n", "worst stall", "", r->worst_stall_ms);
    printf("  %.0f commands a second; %zu without an event, %zu not accepted\n\n",
           r->seconds > 0 ? (double)(commands - r->lost) / r->seconds : 0, r->lost, r->refused);
}

static void json_phase(Buf *out, const char *name, const PathResult *r, size_t commands) {
    buf_printf(
        out,
        "\"%s\":{\"commands\":%zu,\"lost\":%zu,\"refused\":%zu,\"seconds\":%.3f,\"worst_stall_ms\":%.2f,",
        name, commands, r->lost, r->refused, r->seconds, r->worst_stall_ms);
    figures_json(out, "path_ms", &r->path);
    buf_byte(out, ',');
    figures_json(out, "accept_ms", &r->accept);
    buf_byte(out, '}');
}

static int measure(const Options *o, char *token, Err *err) {
    PathResult steady = {0}, burst = {0};
    PathPlan plan = {.url = o->url, .address = o->url + 7, .token = token, .patience_ms = 30000};
    plan.name = "Steady";
    plan.rate = o->rate;
    plan.commands = (size_t)(o->rate * o->seconds);
    if (!path_run(&plan, &steady, err)) return EXIT_FAILURE;
    char title[64];
    snprintf(title, sizeof title, "%.0f a second for %.0f s", o->rate, o->seconds);
    print_phase(title, &steady, plan.commands);
    AUTO_BUF json = {0};
    buf_printf(&json, "{\"bench\":\"path\",\"rate\":%.0f,", o->rate);
    json_phase(&json, "steady", &steady, plan.commands);
    if (o->burst) {
        plan.name = "Burst";
        plan.rate = 0;
        plan.commands = o->burst;
        if (!path_run(&plan, &burst, err)) return EXIT_FAILURE;
        snprintf(title, sizeof title, "%zu at once", o->burst);
        print_phase(title, &burst, plan.commands);
        buf_byte(&json, ',');
        json_phase(&json, "burst", &burst, plan.commands);
    }
    buf_byte(&json, '}');
    printf("%.*s\n", SPAN_ARGS(buf_view(&json)));
    bool late = steady.path.p50 > 10 || steady.path.p99 > 40;
    return steady.lost || burst.lost || (o->check && late) ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv) {
    char url[256], password_file[PATH_MAX];
    Err err = {0};
    char *token = NULL;
    AUTO(Arena) arena = must(arena_new(0));
    snprintf(url, sizeof url, "http://%s", setting("EVENTS_LISTEN_PLAIN", "127.0.0.1:8080"));
    snprintf(password_file, sizeof password_file, "%s/demo-password", setting("EVENTS_HOME", ".events"));
    Options options = {.url = setting("EVENTS_URL", url),
                       .user = "demo",
                       .password_file = password_file,
                       .rate = 50,
                       .seconds = 10,
                       .burst = 500};
    if (!read_options(argc, argv, &options)) {
        fputs(HELP, stderr);
        return 64;
    }
    curl_global_init(CURL_GLOBAL_DEFAULT);
    int code = login(&options, arena, &token, &err) ? measure(&options, token, &err) : EXIT_FAILURE;
    if (err.kind) fprintf(stderr, "bench-path: %s\n", err.why);
    curl_global_cleanup();
    return code;
}
