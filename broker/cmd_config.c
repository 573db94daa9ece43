#include <stdio.h>

#include "broker/cmd.h"
#include "proto/errcode.h"

int cmd_config(const struct cmd_options *o)
{
	char error[CONFIG_ERROR_CHARS];
	struct config config;
	int r;

	config_defaults(&config);
	if (o->check == NULL) {
		config_print(&config, stdout);
		return errcode_exit(fflush(stdout) == 0 ? RK_OK : RK_EIO);
	}
	r = config_read(&config, o->check, error);
	if (r != RK_OK)
		return cmd_fail(r, "%s", error[0] != '\0' ? error : errcode_sentence(r, LANG_EN));
	printf("%s: configuration OK\n", o->check);
	return 0;
}
