/* Commands for the tests of this room, and the queue that they go to. */
#pragma once
#include "kit/engine.h"
#include "queue/queue.h"

/* A sender with a loop that ends when all its sends are done. */
typedef struct Post {
    QueueSend send;
    char command_id[48], key[16], body[64], correlation[32];
} Post;

extern char url[320];              /* of the queue of this test */
const char *new_table_queue(void); /* sets it: tables on the engine of the suite; returns the home */

void fill(Post *p, const char *command_id, const char *key, const char *body);
void send_all(QueueSender *sender, Post *posts, size_t count); /* returns when all are done */
QueueSender *open_sender(const char *home);
QueueReceiver *open_worker(const char *home, unsigned worker, unsigned workers);
QueueReceiver *open_receiver(const char *home);
void fill_queue(const char *home, const char *words); /* "id:key" per word */
size_t claim(QueueReceiver *r, size_t most, QueueMessage **messages);
void complete(QueueReceiver *r, int64_t id);
void expect(QueueReceiver *r, size_t most, const char *want); /* claims and compares the bodies, joined */
