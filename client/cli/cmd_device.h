/* cmd_device: what the verbs of devices share with each other and with main. */
#ifndef RENKEI_CLI_CMD_DEVICE_H
#define RENKEI_CLI_CMD_DEVICE_H

#include "client/cli/shared.h"
#include "client/device.h"

/** What people call it: its label, else the beginning of its id.  In the arena. */
const char *device_called(struct shared *, const Rk__Device *);
/** "Lab A, Lab B"; "" for none.  In the arena.  And the same as [{"desk_id", "name"}]. */
const char *device_desks_text(struct shared *, const uint8_t org_id[16], const Rk__Device *);
json_t *device_desks_json(struct shared *, const uint8_t org_id[16], const Rk__Device *);

/**
 * After a verb that opened the organisation's key: signs a list that ends soon for another 180 days.  Says so, also where it cannot; the
 * verb's own outcome stands.
 */
void cmd_device_renew_if_due(struct cli *);

#endif
