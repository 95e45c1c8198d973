/* The one RabbitMQ of this program's suites; started by the first that asks. */
#pragma once
#include "kit/rabbitmq.h"

TestRabbitmq *queue_test_broker(void);
const char *queue_test_ca(void); /* file of who has signed its certificate */
