/* A RabbitMQ of this program alone: its own data folder, node name, cookie, epmd and free ports of loopback,
 * gone with the program however that ends. It holds the queues of infra/rabbitmq/definitions.json. It takes
 * some seconds of a processor to start, so there is one for all suites. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

typedef struct TestRabbitmq TestRabbitmq;
typedef struct TestRabbitmqTls {
    const char *ca, *certificate, *key; /* PEM files */
} TestRabbitmqTls;

/* Ends the program where it does not start. tls: NULL for none. */
TestRabbitmq *test_rabbitmq_start(const TestRabbitmqTls *tls);
/* "amqp://..." of its queues; `password` in place of the right one (NULL). */
void test_rabbitmq_url(const TestRabbitmq *r, bool tls, const char *password, char *url, size_t size);
/* As a crash: kill -9. What was accepted stays. */
void test_rabbitmq_stop(TestRabbitmq *r);
void test_rabbitmq_again(TestRabbitmq *r);
/* SIGSTOP and SIGCONT: connections stay, nobody answers. */
void test_rabbitmq_hang(TestRabbitmq *r, bool hang);
