/* replay: gives each file of each folder named to the target once, without a fuzzer: `fuzz_x FOLDER…`. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/fuzz/fuzz_kit.h"

#define INPUT_MAX_BYTES (1 << 20)

static unsigned inputs;

static int replay_file(const char *path)
{
	static uint8_t buffer[INPUT_MAX_BYTES];
	FILE *f = fopen(path, "re");
	uint8_t *exact;
	size_t n;

	if (f == NULL) {
		perror(path);
		return EXIT_FAILURE;
	}
	n = fread(buffer, 1, sizeof(buffer), f);
	fclose(f);
	/* Exactly as large as the input, so that reading past its end is found. */
	exact = malloc(n > 0 ? n : 1);
	MUST(exact != NULL);
	memcpy(exact, buffer, n);
	fprintf(stderr, "%s\n", path);
	LLVMFuzzerTestOneInput(exact, n);
	free(exact);
	inputs++;
	return EXIT_SUCCESS;
}

static int replay_folder(const char *folder)
{
	struct dirent **entries;
	int n = scandir(folder, &entries, NULL, alphasort), rc = EXIT_SUCCESS;
	char path[4096];

	if (n < 0)
		return replay_file(folder);
	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
		if (entries[i]->d_name[0] != '.' && replay_file(path) != EXIT_SUCCESS)
			rc = EXIT_FAILURE;
		free(entries[i]);
	}
	free(entries);
	return rc;
}

int main(int argc, char **argv)
{
	int rc = EXIT_SUCCESS;

	for (int i = 1; i < argc; i++)
		if (replay_folder(argv[i]) != EXIT_SUCCESS)
			rc = EXIT_FAILURE;
	printf("replayed %u accepted %u\n", inputs, fuzz_accepted);
	return rc;
}
