/* eventsctl_init.c - a data folder with all that the programs need. Every step makes what is missing and
 * leaves the rest alone, so that it may run before each start. */
#include "base/buf.h"
#include "base/uuid.h"
#include "main/eventsctl.h"
#include "main/eventsctl_files.h"
#include "main/eventsctl_keys.h"
#include "store/users/users.h"
#include <dirent.h>
#include <stdio.h>

enum { SECRET_LETTERS = 43, PASSWORD_LETTERS = 20 }; /* about 250 and 116 bits */
#define DEMO        "demo"
#define DEMO_SCOPES "prospects:read prospects:write prospects:pii operator"

static bool make_folders(Ctl *ctl, Err *err) {
    static const char *const FOLDERS[] = {"", "db", "run", "logs", "keys", "secrets"};
    for (size_t i = 0; i < COUNT(FOLDERS); i++)
        if (!files_make_folder(config_path(ctl->config, FOLDERS[i]), err)) return false;
    return true;
}

static bool make_secrets(Ctl *ctl, Err *err) {
    static const char *const SECRETS[] = {"secrets/webhook", "secrets/internal", "secrets/grid-key"};
    for (size_t i = 0; i < COUNT(SECRETS); i++) {
        char text[SECRET_LETTERS + 1];
        bool made;
        keys_random_text(text, sizeof text);
        Span line = span_of(must(arena_printf(ctl->arena, "%s\n", text)));
        if (!files_make(config_path(ctl->config, SECRETS[i]), line, &made, err)) return false;
    }
    return true;
}

static bool has_signing_key(const char *folder) {
    DIR *keys = opendir(folder);
    bool found = false;
    for (struct dirent *entry; keys && !found && (entry = readdir(keys));)
        found = span_ends(span_of(entry->d_name), SPAN(".pem")) && *entry->d_name != '.';
    if (keys) closedir(keys);
    return found;
}

/* The key's id is its file's name: it stands in every token and in /.well-known/jwks.json. */
static bool make_signing_key(Ctl *ctl, Err *err) {
    if (has_signing_key(config_path(ctl->config, "keys"))) return true;
    AUTO_BUF pem = {0};
    char kid[17], file[64];
    bool made;
    keys_random_text(kid, sizeof kid);
    snprintf(file, sizeof file, "keys/%s.pem", kid);
    return keys_make_private(&pem, err) &&
           files_make(config_path(ctl->config, file), buf_view(&pem), &made, err);
}

/* Both or none: a certificate without its key is of no use. */
static bool make_certificate(Ctl *ctl, Err *err) {
    const char *certificate_file = config_path(ctl->config, "tls.crt"),
               *key_file = config_path(ctl->config, "tls.key");
    if (files_exist(certificate_file) && files_exist(key_file)) return true;
    if (files_exist(certificate_file))
        return err_set(err, &ERR_CONFIG, "there is a tls.crt but no tls.key; remove it to have both made");
    AUTO_BUF key = {0}, certificate = {0};
    return keys_make_private(&key, err) && keys_make_certificate(buf_view(&key), &certificate, err) &&
           files_replace(key_file, buf_view(&key), err) &&
           files_replace(certificate_file, buf_view(&certificate), err);
}

/* The password that shall hold: the setting, else the file's, else a new one. *changed: it is not the file's.
 */
static bool choose_password(Ctl *ctl, char *ret, size_t size, bool *changed, Err *err) {
    const char *wanted = config_text(ctl->config, "EVENTS_DEMO_PASSWORD"),
               *file = config_path(ctl->config, "demo-password");
    bool stored = files_exist(file);
    if (stored && !files_first_line(file, ret, size, err)) return false;
    *changed = !stored || (*wanted && strcmp(ret, wanted));
    if (!*changed) return true;
    if (!*wanted)
        keys_random_text(ret, PASSWORD_LETTERS + 1);
    else if (!span_copy(span_of(wanted), ret, size) || strpbrk(wanted, "\r\n"))
        return err_set(err, &ERR_CONFIG, "EVENTS_DEMO_PASSWORD is too long, or has a line break");
    return true;
}

/* The user first, then the file: a crash between the two makes the next run set the password once more. */
static bool make_demo_user(Ctl *ctl, Err *err) {
    AUTO(Users) users = NULL;
    char password[1026];
    bool changed;
    Err why = {0};
    if (!choose_password(ctl, password, sizeof password, &changed, err) ||
        !users_open(config_text(ctl->config, "EVENTS_USERS_DB"), &users, err) ||
        !tenant_add(users, SPAN(DEMO), err))
        return false;
    Span text = span_of(password);
    bool added = user_add(users, SPAN(DEMO), SPAN(DEMO), SPAN(DEMO_SCOPES), text, &why);
    if (!added && why.kind != &ERR_DUPLICATE) return err_set(err, why.kind, "%s", why.why);
    if (!changed) return true;
    if (!added && !user_set_password(users, SPAN(DEMO), text, err)) return false;
    Span line = span_of(must(arena_printf(ctl->arena, "%s\n", password)));
    return files_replace(config_path(ctl->config, "demo-password"), line, err);
}

bool ctl_init(Ctl *ctl, Err *err) {
    return make_folders(ctl, err) && make_secrets(ctl, err) && make_signing_key(ctl, err) &&
           make_certificate(ctl, err) && ctl_migrate(ctl, err) && make_demo_user(ctl, err);
}
