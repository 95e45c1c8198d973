/* How names of .proto files become names of C (protoc-c's rules), JSON and people. Results live in the arena.
 */
#pragma once
#include "base/arena.h"

char *name_snake(Arena *a, const char *camel);        /* CreateProspect -> create_prospect */
char *name_c_type(Arena *a, const char *full);        /* .events.v1.Page -> Events__V1__Page */
char *name_c_prefix(Arena *a, const char *full);      /* .events.v1.Page -> events__v1__page */
char *name_symbol(Arena *a, const char *full);        /* .events.v1.Page -> events_v1_page */
char *name_label(Arena *a, const char *proto_name);   /* first_name -> First name */
const char *name_c_field(Arena *a, const char *name); /* class -> class_ */
char *name_enum_value(Arena *a, const char *type,
                      const char *value); /* CommandStatus, COMMAND_STATUS_X -> x */
