/* process_kit: what test programs that run a broker as a process have in common: starting it, waiting, the wall clock. */
#ifndef RENKEI_TESTS_PROCESS_KIT_H
#define RENKEI_TESTS_PROCESS_KIT_H

#include <stdint.h>
#include <sys/types.h>

/** Runs `program run --data DATA`, its stderr appended to the file `log`.  Killed by its owner. */
pid_t process_broker(const char *program, const char *data, const char *log);
void process_pause_ms(long ms);
int64_t process_wall_ms(void);

#endif
