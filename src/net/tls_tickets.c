#include "net/tls_tickets.h"

#include "base/uuid.h"
#include <openssl/crypto.h>
#include <pthread.h>
#include <string.h>

struct TicketKeys {
    pthread_mutex_t lock;
    TicketKey present, past; /* past: all zero where there is none */
    int64_t made_us;         /* present */
};

static void make_key(TicketKeys *keys, int64_t now_us) {
    random_bytes(&keys->present, sizeof keys->present);
    keys->made_us = now_us;
}

TicketKeys *ticket_keys_new(void) {
    TicketKeys *keys = must(calloc(1, sizeof *keys));
    pthread_mutex_init(&keys->lock, NULL);
    return keys;
}

TicketKeys *ticket_keys_free(TicketKeys *keys) {
    if (!keys) return NULL;
    pthread_mutex_destroy(&keys->lock);
    OPENSSL_cleanse(keys, sizeof *keys);
    free(keys);
    return NULL;
}

/* Under the lock. No timer: keys that nobody asks for do no work, and harm nobody. */
static void turn(TicketKeys *keys, int64_t now_us) {
    const int64_t life_us = (int64_t)TICKET_LIFE_S * 1000000;
    int64_t age_us = now_us - keys->made_us;
    if (keys->made_us && age_us < life_us) return;
    if (keys->made_us && age_us < 2 * life_us)
        keys->past = keys->present;
    else
        OPENSSL_cleanse(&keys->past, sizeof keys->past);
    make_key(keys, now_us);
}

void ticket_keys_seal(TicketKeys *keys, int64_t now_us, TicketKey *ret) {
    pthread_mutex_lock(&keys->lock);
    turn(keys, now_us);
    *ret = keys->present;
    pthread_mutex_unlock(&keys->lock);
}

bool ticket_keys_open(TicketKeys *keys, int64_t now_us, const unsigned char name[TICKET_NAME], TicketKey *ret,
                      bool *renew) {
    static const TicketKey NONE;
    pthread_mutex_lock(&keys->lock);
    turn(keys, now_us);
    bool present = !memcmp(name, keys->present.name, TICKET_NAME);
    bool past = !present && !memcmp(name, keys->past.name, TICKET_NAME) &&
                memcmp(&keys->past, &NONE, sizeof NONE) != 0;
    if (present || past) *ret = present ? keys->present : keys->past;
    pthread_mutex_unlock(&keys->lock);
    *renew = past;
    return present || past;
}
