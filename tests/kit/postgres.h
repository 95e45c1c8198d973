/* A PostgreSQL of this program alone: its own data folder, a free port of loopback, gone with the program
 * however that ends. It does not sync (no test here cuts the power), so that it costs about a second. */
#pragma once
#include <stddef.h>

typedef struct TestPostgres TestPostgres;
TestPostgres *test_postgres_start(void); /* ends the program where it does not start */
/* Makes a database and writes its url; like: the url of one, to which nobody is connected, that it shall be a copy
 * of, or NULL. Everybody is let in without a password, but for the role `checked`. */
void test_postgres_database(TestPostgres *p, const char *like, char *url, size_t size);
/* The url of its first database for this user; both as they stand in a url. */
void test_postgres_url(const TestPostgres *p, const char *user, const char *password, char *url, size_t size);
/* As an outage: every connection breaks; the data stay. */
void test_postgres_stop(TestPostgres *p);
void test_postgres_again(TestPostgres *p);
