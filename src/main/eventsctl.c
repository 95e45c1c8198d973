/* eventsctl.c - finds the verb, reads its words and options, runs it, and turns an error into one line and an
 * exit code: 1 doctor has found a fault, 64 what was typed is wrong, 69 something cannot be reached or is not there,
 * 78 the configuration is wrong. */
#include "main/eventsctl.h"

#include "base/log.h"
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#define SESSIONS_END                                                                                         \
    " Every session of the user ends: refresh tokens and\n"                                                  \
    "access tokens are refused, his streams are closed within a second, on every gateway that hears it at\n" \
    "once (this machine's, those of EVENTS_PEERS; the others look every EVENTS_POLL_SECONDS).\n"

static const CtlVerb VERBS[] = {
    {"init", "", 0, "", "make or complete the data folder",
     "Makes what is missing and changes nothing that is there: folders, secrets, the signing key, a "
     "self-signed\n"
     "certificate for localhost, the databases, and the user demo (tenant demo). The demo user's password "
     "is\n"
     "EVENTS_DEMO_PASSWORD, or a random one; it stands in the file demo-password.\n",
     ctl_init},
    {"migrate", "", 0, "", "bring the databases up to date",
     "Runs the steps that a database lacks, each database in one transaction. Refuses one that is newer than "
     "this\n"
     "program. The programs do the same for their own databases when they start.\n",
     ctl_migrate},
    {"tenant add", "TENANT", 1, "", "make a tenant", "TENANT is 1 to 64 of a-z, 0-9 and hyphen.\n",
     ctl_tenant_add},
    {"user add", "NAME", 1, "tenant= scopes= password-stdin", "make a user",
     "  --tenant T         the tenant, which must exist\n"
     "  --scopes 'A B'     of prospects:read prospects:write prospects:pii operator\n"
     "  --password-stdin   the password is the first line of standard input\n",
     ctl_user_add},
    {"user passwd", "NAME", 1, "password-stdin", "give a user a new password",
     "The password is the first line of standard input." SESSIONS_END, ctl_user_passwd},
    {"user scopes", "NAME 'A B'", 2, "", "say what a user may do",
     "Of prospects:read prospects:write prospects:pii operator. What is added stands in his next access token. Where\n"
     "something is taken away the access tokens that he has end, and his streams are closed within a second; his\n"
     "programs refresh and come back with less.\n",
     ctl_user_scopes},
    {"user revoke", "NAME", 1, "", "end all sessions of a user", "He may sign in again." SESSIONS_END, ctl_user_revoke},
    {"user disable", "NAME", 1, "", "let a user sign in no longer", "He is not let in again." SESSIONS_END,
     ctl_user_disable},
    {"user enable", "NAME", 1, "", "let a user sign in again", "With the password that he had.\n", ctl_user_enable},
    {"import", "FILE.csv", 1, "user= password-stdin rejected= ca= wait= json", "send prospects as commands",
     "The first row names the columns firstName, lastName, email, phone, notes, in any order. Each further "
     "row\n"
     "becomes one command; at most 256 are on their way at a time. A row's command id follows from tenant, "
     "row\n"
     "number and the row's bytes: to repeat an import has the same outcome and no second effect (for 7 "
     "days).\n\n"
     "  --url URL          the gateway [https://<EVENTS_LISTEN>]\n"
     "  --ca FILE          trust this certificate too [on loopback: <home>/tls.crt]\n"
     "  --user NAME        who sends [demo, with the password of <home>/demo-password]\n"
     "  --password-stdin   the user's password is the first line of standard input\n"
     "  --rejected PATH    the CSV of rejected rows [FILE.rejected.csv in the working directory]. Values are "
     "written\n"
     "                     as they came: one that begins with = + - @ may be taken for a formula by a "
     "spreadsheet.\n"
     "  --wait SECONDS     give up when nothing moves for so long [180]\n"
     "  --json             end with {\"rows\":N,\"accepted\":N,\"rejected\":{code:N}}\n",
     ctl_import},
    {"events tail", "", 0,
     "after= types= user= password-stdin ca=", "print events as they come, a line of JSON each",
     "  --after N          begin behind position N [0]\n"
     "  --types A,B        only these event types\n"
     "  --url, --ca, --user, --password-stdin   as for import\n",
     ctl_events_tail},
    {"outbox status", "", 0, "json", "what waits to be published",
     "  --json             as one line of JSON\n", ctl_outbox_status},
    {"outbox new-epoch", "", 0, "", "go on with new numbers where the old ones are lost",
     "For a relay that publishes nothing because the projection has another epoch, or holds more than was\n"
     "given: after relay.db, the write or the read database was lost or restored. Relay and projection must "
     "be\n"
     "stopped. Numbers go on above the higher one; what is in the outbox and not held goes out once more; "
     "every\n"
     "client starts anew.\n",
     ctl_outbox_new_epoch},
    {"dead-letters list", "", 0, "json", "what could not be processed",
     "A line each: the id, when, the event's type and subject (or the command's type and id), and why.\n"
     "outbox: refused by the topic; grid: given up by events-grid; projection: cannot be applied; command: has\n"
     "failed five times.\n\n"
     "  --json             a line of JSON each\n",
     ctl_letters_list},
    {"dead-letters show", "ID", 1, "", "one of them, as JSON", "With its whole event or command: personal data, too.\n",
     ctl_letters_show},
    {"dead-letters requeue", "ID", 1, "", "try it again",
     "An event of the outbox goes out under a new number, with its old id and version; one of the projection "
     "is\n"
     "applied to the read model; one of the grid is published again under its own number. Who has a newer "
     "version\n"
     "keeps it. A command goes into the queue again, and has five tries more.\n",
     ctl_letters_requeue},
    {"dead-letters discard", "ID", 1, "", "forget it",
     "It cannot be had again. A command is forgotten with it: its id is unknown then.\n", ctl_letters_discard},
    {"replay", "", 0, "from= to=", "make the read model anew from the log",
     "Builds a second table from the events of the log, while reads and live events go on with the present "
     "one, and\n"
     "lets it serve when it has caught up. May be interrupted at any time: then all is as before, and the "
     "next run\n"
     "begins anew. Outcomes of commands and the log itself are not touched.\n\n"
     "  --from N           0: from nothing, by the whole log. Else the present rows are taken over, and the "
     "events\n"
     "                     from number N on are applied to them once more\n"
     "  --to projection    where to; there is nothing else yet\n",
     ctl_replay},
    {"doctor", "", 0, "json", "what is wrong with this installation",
     "A line for each thing that was looked at: ok, warning or fault, what is the case, and what to do about it.\n"
     "Home, settings, secrets and keys, certificate, disk, each database and its tables, the numbering (relay and\n"
     "projection agree), what waits in the outbox, dead letters, and the programs that have run from this home or\n"
     "stand in EVENTS_PEERS. Changes nothing; what hangs is given up after 5 s. Exit code 1 where there is a fault.\n\n"
     "  --json             one line: {\"findings\":[{level,about,found,remedy}],\"warnings\":N,\"faults\":N}\n",
     ctl_doctor},
};

static void print_verb(const CtlVerb *verb) {
    printf("usage: eventsctl %s%s%s%s\n\n%s.\n\n%s", verb->name, *verb->operands ? " " : "", verb->operands,
           *verb->options ? " [options]" : "", verb->summary, verb->details);
}

static void print_help(void) {
    printf("usage: eventsctl [--home DIR] VERB ...\n\n");
    for (size_t i = 0; i < COUNT(VERBS); i++) {
        char call[64];
        snprintf(call, sizeof call, "%s %s", VERBS[i].name, VERBS[i].operands);
        printf("  %-22s %s\n", call, VERBS[i].summary);
    }
    printf("\n`eventsctl VERB --help` tells more. Settings come from flags, the environment and "
           "<home>/events.conf;\n"
           "`eventsctl --print-config` shows them. Exit codes: 0 done, 1 doctor has found a fault, 64 bad usage,\n"
           "69 an engine cannot be reached, 78 bad configuration.\n");
}

/* "user add" against the words "user", "add", ... */
static size_t verb_words(const CtlVerb *verb, const char *const *words, size_t count) {
    Span rest = span_of(verb->name);
    size_t used = 0;
    while (rest.len) {
        Span word = span_split(rest, ' ', &rest);
        if (used >= count || !span_is(word, words[used])) return 0;
        used++;
    }
    return used;
}

static const CtlVerb *find_verb(const char *const *words, size_t count, size_t *used) {
    for (size_t i = 0; i < COUNT(VERBS); i++)
        if ((*used = verb_words(&VERBS[i], words, count))) return &VERBS[i];
    return NULL;
}

/* Where an option of the verb stands in ctl, with its name noted; -1 where the verb has none of that name. */
static int option_index(Ctl *ctl, Span name, bool *takes_value) {
    Span rest = span_of(ctl->verb->options);
    for (int i = 0; rest.len && i < CTL_OPTIONS_MAX; i++) {
        Span word = span_split(rest, ' ', &rest);
        *takes_value = span_ends(word, SPAN("="));
        if (*takes_value) word.len--;
        if (!span_equal(word, name)) continue;
        ctl->option_names[i] = must(arena_copy(ctl->arena, name));
        return i;
    }
    return -1;
}

static bool read_option(Ctl *ctl, const char *const *words, size_t count, size_t *at, Err *err) {
    Span value, name = span_split(span_of(words[*at] + 2), '=', &value);
    bool takes_value;
    int index = option_index(ctl, name, &takes_value);
    if (index < 0)
        return err_set(err, &ERR_INVALID, "%s has no option --%.*s", ctl->verb->name, SPAN_ARGS(name));
    if (takes_value && !value.at && *at + 1 >= count)
        return err_set(err, &ERR_INVALID, "--%.*s needs a value", SPAN_ARGS(name));
    if (!takes_value && value.at) return err_set(err, &ERR_INVALID, "--%.*s takes no value", SPAN_ARGS(name));
    ctl->option_values[index] = !takes_value ? "" : value.at ? value.at : words[++*at];
    if ((size_t)index >= ctl->option_count) ctl->option_count = (size_t)index + 1;
    return true;
}

static bool read_words(Ctl *ctl, const char *const *words, size_t count, Err *err) {
    for (size_t i = 0; i < count; i++) {
        if (!strncmp(words[i], "--", 2)) {
            if (!read_option(ctl, words, count, &i, err)) return false;
        } else if (ctl->operand_count == ctl->verb->operand_count) {
            return err_set(err, &ERR_INVALID, "%s: one word too many", ctl->verb->name);
        } else {
            ctl->operands[ctl->operand_count++] = words[i];
        }
    }
    if (ctl->operand_count < ctl->verb->operand_count)
        return err_set(err, &ERR_INVALID, "%s needs %s", ctl->verb->name, ctl->verb->operands);
    return true;
}

const char *ctl_option(const Ctl *ctl, const char *name) {
    for (size_t i = 0; i < ctl->option_count; i++)
        if (ctl->option_names[i] && !strcmp(ctl->option_names[i], name)) return ctl->option_values[i];
    return NULL;
}

bool ctl_read_password(Ctl *ctl, const char **ret, Err *err) {
    char line[1026]; /* a password has at most 1024 bytes */
    if (!fgets(line, sizeof line, stdin)) return err_set(err, &ERR_INVALID, "no password on standard input");
    size_t len = strcspn(line, "\r\n");
    if (len + 1 >= sizeof line) return err_set(err, &ERR_INVALID, "the password is longer than 1024 bytes");
    if (!len) return err_set(err, &ERR_INVALID, "the password is empty");
    *ret = must(arena_copy(ctl->arena, (Span){line, len}));
    explicit_bzero(line, sizeof line);
    return true;
}

static bool asks_help(int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h") || (i == 1 && !strcmp(argv[i], "help")))
            return true;
    return false;
}

/* Words before the verb that are settings (--home DIR) are not looked at: help needs no settings. */
static int help(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        size_t used;
        const CtlVerb *verb = find_verb((const char *const *)argv + i, (size_t)(argc - i), &used);
        if (verb) return print_verb(verb), 0;
    }
    print_help();
    return 0;
}

static bool run(int argc, char **argv, int *exit_code, Err *err) {
    AUTO(Config) config = NULL;
    AUTO(Arena) arena = arena_new(0);
    ConfigOutcome outcome;
    if (!config_load("eventsctl", argc, argv, &config, &outcome, err)) return false;
    if (outcome == CONFIG_EXIT) return true;
    size_t count = config_words(config), used;
    const char **words = must(arena_alloc(arena, (count + 1) * sizeof *words));
    for (size_t i = 0; i < count; i++) words[i] = config_word(config, i);
    Ctl ctl = {.config = config, .arena = arena, .verb = find_verb(words, count, &used)};
    if (!ctl.verb)
        return err_set(err, &ERR_INVALID,
                       count ? "there is no such verb; see eventsctl --help"
                             : "a verb is missing; see eventsctl --help");
    if (!read_words(&ctl, words + used, count - used, err) || !ctl.verb->run(&ctl, err)) return false;
    *exit_code = ctl.exit_code;
    return true;
}

int main(int argc, char **argv) {
    umask(0077); /* keys, databases, rejected rows: for their owner alone */
    signal(SIGPIPE, SIG_IGN);
    if (asks_help(argc, argv)) return help(argc, argv);
    log_start("eventsctl", LOG_WARN);
    Err err = {0};
    int exit_code = 0;
    if (run(argc, argv, &exit_code, &err)) return exit_code;
    fprintf(stderr, "eventsctl: %s\n", err.why);
    return config_exit_code(&err);
}
