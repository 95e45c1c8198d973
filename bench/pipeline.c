/* bench-pipeline: how many commands a second does each stage take alone, and how many all of them together;
 * how long from a command's commit to its event's publishing, at a tenth of that. bench/pipeline.mjs runs it
 * for each engine. */
#include "bench/pipeline.h"

#include "base/clock.h"
#include "base/log.h"
#include <getopt.h>
#include <stdio.h>
#include <time.h>

enum { COMMANDS_LEAST = 1000, COMMANDS_MOST = 1000000 };

static const char HELP[] = "usage: bench-pipeline --home DIR [options]\n\n"
                           "  --home DIR        an empty folder\n"
                           "  --server URL      write model and queue on PostgreSQL [SQLite, in the home]\n"
                           "  --server-read URL read model there\n"
                           "  --commands N      of each phase [10000]\n"
                           "  --workers N       of the service, on a server [2]\n";

typedef struct Row {
    const char *name, *json;
    double per_second, processor_us; /* of this process, for each command */
} Row;

typedef struct Clocks {
    int64_t wall;
    clock_t processor;
} Clocks;

static Clocks clocks_now(void) {
    return (Clocks){clock_mono_us(), clock()};
}

static Row row_of(const char *name, const char *json, Clocks since, size_t commands) {
    Clocks now = clocks_now();
    double seconds = (double)(now.wall - since.wall) / 1e6;
    double used = (double)(now.processor - since.processor) * 1e6 / CLOCKS_PER_SEC;
    return (Row){name, json, (double)commands / seconds, used / (double)commands};
}

static bool read_options(int argc, char **argv, PipelineOptions *o) {
    static const struct option NAMES[] = {{"home", 1, 0, 'h'},        {"server", 1, 0, 's'},
                                          {"server-read", 1, 0, 'r'}, {"commands", 1, 0, 'c'},
                                          {"workers", 1, 0, 'w'},     {0}};
    for (int option; (option = getopt_long(argc, argv, "", NAMES, NULL)) >= 0;) {
        switch (option) {
        case 'h': o->home = optarg; break;
        case 's': o->server = optarg; break;
        case 'r': o->server_read = optarg; break;
        case 'c': o->commands = (size_t)atol(optarg); break;
        case 'w': o->workers = (unsigned)atol(optarg); break;
        default: return false;
        }
    }
    return optind == argc && o->home && !o->server == !o->server_read && o->commands >= COMMANDS_LEAST &&
           o->commands <= COMMANDS_MOST && o->workers >= 1 && o->workers <= COMMAND_WORKERS_MAX;
}

/* ---- phases ---- */

static bool each_alone(Pipeline *p, Row rows[4], Err *err) {
    size_t n = p->options.commands;
    Clocks since = clocks_now();
    if (!pipeline_send(p, n, 0, err)) return false;
    rows[0] = row_of("enqueue alone", "enqueue", since, n);
    since = clocks_now();
    if (!pipeline_work(p, p->options.workers, err)) return false;
    pipeline_wait_handled(p, n);
    rows[1] = row_of("service alone", "service", since, n);
    since = clocks_now();
    if (!pipeline_relay(p, n, err)) return false;
    rows[2] = row_of("relay alone", "relay", since, n);
    since = clocks_now();
    if (!pipeline_project(p, n, err)) return false;
    rows[3] = row_of("projection alone", "projection", since, n);
    return true;
}

typedef struct Part {
    Pipeline *pipeline;
    size_t upto;
    bool (*run)(Pipeline *p, size_t upto, Err *err);
    Err err;
    pthread_t thread;
} Part;

static void *run_part(void *user) {
    Part *part = user;
    if (!part->run(part->pipeline, part->upto, &part->err)) {
        fprintf(stderr, "bench-pipeline: %s\n", part->err.why);
        exit(EXIT_FAILURE); /* the others would wait for it for ever */
    }
    return NULL;
}

static bool all_together(Pipeline *p, unsigned workers, double rate, Err *err) {
    size_t upto = p->sent + p->options.commands;
    Part parts[] = {{p, upto, pipeline_relay, {0}, 0}, {p, upto, pipeline_project, {0}, 0}};
    if (!pipeline_work(p, workers, err)) return false;
    for (size_t i = 0; i < COUNT(parts); i++)
        if (pthread_create(&parts[i].thread, NULL, run_part, &parts[i])) abort();
    bool sent = pipeline_send(p, upto, rate, err);
    if (!sent) return false;
    for (size_t i = 0; i < COUNT(parts); i++) pthread_join(parts[i].thread, NULL);
    return true;
}

/* One worker, so that events are published in the order of their commits: the n-th of these belongs to the
 * n-th of those. */
static bool latency(Pipeline *p, double rate, Figures *ret, Err *err) {
    size_t n = p->options.commands =
        p->options.commands < (size_t)(rate * 5) ? p->options.commands : (size_t)(rate * 5);
    p->commit_us = must(calloc(n, sizeof(int64_t)));
    p->publish_us = must(calloc(n, sizeof(int64_t)));
    if (!all_together(p, 1, rate, err)) return false;
    for (size_t i = 0; i < n; i++) {
        int64_t took = p->publish_us[i] - p->commit_us[i];
        p->publish_us[i] = took > 0 ? took : 0; /* the relay may see it before the worker comes to say it */
    }
    *ret = figures_of(p->publish_us, n);
    free(p->commit_us);
    free(p->publish_us);
    p->commit_us = p->publish_us = NULL;
    return true;
}

static void print_row(const Row *row, Buf *json) {
    printf("  %-44s %10.0f %14.0f\n", row->name, row->per_second, row->processor_us);
    buf_printf(json, "\"%s\":%.0f,", row->json, row->per_second);
}

static bool measure(Pipeline *p, Err *err) {
    Row rows[6];
    Figures late;
    AUTO_BUF json = {0};
    size_t n = p->options.commands;
    const char *engine = p->options.server ? "postgresql" : "sqlite";
    if (!each_alone(p, rows, err)) return false;
    Clocks since = clocks_now();
    if (!all_together(p, p->options.workers, 0, err)) return false;
    rows[4] = row_of("all together, without HTTP", "together", since, n);
    double rate = rows[4].per_second / 10;
    if (!latency(p, rate, &late, err)) return false;
    since = clocks_now();
    if (!pipeline_limit(p, n, err)) return false;
    rows[5] = row_of("the service's rows, 256 commands a commit", "limit", since, n);
    printf("%-46s %10s %14s\n", engine, "commands/s", "us of CPU each");
    buf_printf(&json, "{\"bench\":\"pipeline\",\"engine\":\"%s\",\"commands\":%zu,", engine, n);
    for (size_t i = 0; i < COUNT(rows); i++) print_row(&rows[i], &json);
    figures_print_head("at a tenth of that rate");
    figures_print("commit -> publish", &late);
    figures_json(&json, "commit_to_publish_ms", &late);
    printf("%.*s}\n", SPAN_ARGS(buf_view(&json)));
    return true;
}

int main(int argc, char **argv) {
    PipelineOptions options = {.commands = 10000, .workers = 2};
    if (!read_options(argc, argv, &options)) {
        fputs(HELP, stderr);
        return 64;
    }
    static Pipeline p;
    Err err = {0};
    log_start("bench", LOG_WARN);
    bool ok = pipeline_open(&p, &options, &err) && measure(&p, &err);
    if (!ok) fprintf(stderr, "bench-pipeline: %s\n", err.why);
    pipeline_close(&p);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
