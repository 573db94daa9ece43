#include "tests/unit/process_kit.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

pid_t process_broker(const char *program, const char *data, const char *log)
{
	pid_t pid = fork();

	if (pid == 0) {
		int fd = open(log, O_CREAT | O_WRONLY | O_APPEND, 0600);

		dup2(fd, 2);
		execl(program, program, "run", "--data", data, (char *)NULL);
		_exit(127);
	}
	return pid;
}

void process_pause_ms(long ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

int64_t process_wall_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
