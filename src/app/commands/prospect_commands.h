/* The handlers of the prospect service: on_create_prospect() of CreateProspect, and so on, one for each
 * command that the contract says it handles. */
#pragma once
#include "app/commands/command.h"
#include "events/v1/contract_lists.h"

#define HANDLER(name, snake) CommandHandler on_##snake;
COMMANDS_OF_ProspectService(HANDLER)
#undef HANDLER
