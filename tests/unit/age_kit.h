/* age_kit: whole age files in memory, for tests: all that a streaming caller must do around proto/age, once. */
#ifndef RENKEI_TESTS_AGE_KIT_H
#define RENKEI_TESTS_AGE_KIT_H

#include "proto/age.h"

#define AGE_KIT_LOG_N 4 /* as little work as tests may ask for */

/** AGE-SECRET-KEY-1… of any case as `age` accepts it; false: not one. */
bool age_kit_identity(const char *text, uint8_t sk[32]);

/** The file for a plaintext, malloc'ed: to identity_pk, or under the code where that is NULL. */
struct bytes age_kit_seal(struct bytes plain, const uint8_t *identity_pk, struct bytes code, unsigned log_n);

/** All chunks that open, malloc'ed in *plain, up to the first that does not; the code of that one, or of the header. */
int age_kit_open(struct bytes file, const uint8_t *identity_sk, struct bytes code, struct bytes *plain);

#endif
