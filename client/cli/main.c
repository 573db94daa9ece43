/* renkei: the command line of a member.  Steps: language, global options, the noun and its verb, run, close. */
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "client/cli/cmd_device.h"
#include "client/cli/out.h"
#include "client/cli/parse.h"

#define VERSION "0.1.0"
#define EXIT_PARTIAL 3
#define EXIT_CUT (128 + SIGPIPE)

/* ---- the table of nouns and verbs */

#define NOUN(noun, heading)
#define VERB(noun, verb, run, does) int run(struct cli *, int argc, char **argv);
#include "client/cli/verbs_a.inc"
#include "client/cli/verbs_b.inc"
#include "client/cli/verbs_receipt.inc"
#include "client/cli/verbs_device.inc"
#include "client/cli/verbs_backup.inc"
#include "client/cli/verbs_agent.inc"
#include "client/cli/verbs_key.inc"
#include "client/cli/verbs_officer.inc"
#include "client/cli/verbs_c.inc"
#undef NOUN
#undef VERB

struct row {
	const char *noun, *verb;
	int (*run)(struct cli *, int argc, char **argv);  /* NULL: heading of a noun */
	enum text_id does;
};

static const struct row rows[] = {
#define NOUN(noun, heading) {noun, NULL, NULL, heading},
#define VERB(noun, verb, run, does) {noun, verb, run, does},
#include "client/cli/verbs_a.inc"
#include "client/cli/verbs_b.inc"
#include "client/cli/verbs_receipt.inc"
#include "client/cli/verbs_device.inc"
#include "client/cli/verbs_backup.inc"
#include "client/cli/verbs_agent.inc"
#include "client/cli/verbs_key.inc"
#include "client/cli/verbs_officer.inc"
#include "client/cli/verbs_c.inc"
#undef NOUN
#undef VERB
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* ---- help */

static void print_rows(struct cli *c, const char *noun)
{
	for (size_t i = 0; i < ROWS; i++) {
		const struct row *r = &rows[i];
		if (noun && strcmp(noun, r->noun) != 0)
			continue;
		if (!r->run) {
			printf("\n%s\n", text(r->does, c->lang));
			continue;
		}
		char left[80];
		snprintf(left, sizeof(left), "  renkei %s%s%s", r->noun, r->verb ? " " : "", r->verb ? r->verb : "");
		printf("%-30s%s\n", left, text(r->does, c->lang));
	}
}

static int print_help(struct cli *c, const char *noun)
{
	printf("%s\n", text(TEXT_USAGE, c->lang));
	print_rows(c, noun);
	printf("\n%s\n", text(TEXT_GLOBAL_OPTIONS, c->lang));
	parse_print_globals(c);
	printf("\n%s\n", text(TEXT_HELP_END, c->lang));
	return CLI_HELP;
}

/* ---- steps */

/* The signal handler reaches the one flag of the one run; a second signal ends at once. */
static volatile bool *stop_flag;

static void on_signal(int signo)
{
	if (*stop_flag)
		_exit(128 + signo);
	*stop_flag = true;
}

static void catch_signals(struct cli *c)
{
	stop_flag = &c->stop;
	/* No SA_RESTART: a prompt must end too. */
	struct sigaction act = {.sa_handler = on_signal};
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	/* A reader that went away is an error of writing, so that a watch does not move on unseen. */
	signal(SIGPIPE, SIG_IGN);
}

/* Kanji need a UTF-8 character type whatever the machine's locale is; numbers stay as in C, for JSON. */
static void use_utf8(void)
{
	setlocale(LC_CTYPE, "");
	if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
		setlocale(LC_CTYPE, "C.UTF-8");
}

/* --home, RENKEI_HOME, $XDG_DATA_HOME/renkei, ~/.local/share/renkei. */
static int find_home(struct cli *c, char **made)
{
	const char *variable = getenv("RENKEI_HOME"), *xdg = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
	if (!c->home && variable && *variable)
		c->home = variable;
	if (c->home)
		return RK_OK;
	if (!(xdg && xdg[0] == '/') && !(home && *home))
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_HELP, TEXT_NO_HOME_FOLDER);
	int n = xdg && xdg[0] == '/' ? asprintf(made, "%s/renkei", xdg) : asprintf(made, "%s/.local/share/renkei", home);
	if (n < 0)
		return RK_ENOMEM;
	c->home = *made;
	return RK_OK;
}

/* Finds and runs the verb; argv[0] is the noun. */
static int run_verb(struct cli *c, int argc, char **argv)
{
	bool known = false, wants_help = argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);
	if (strcmp(argv[0], "help") == 0)
		return print_help(c, argc > 1 ? argv[1] : NULL);
	for (size_t i = 0; i < ROWS; i++) {
		const struct row *r = &rows[i];
		if (strcmp(r->noun, argv[0]) != 0)
			continue;
		known = true;
		if (!r->run || (r->verb && (argc < 2 || strcmp(r->verb, argv[1]) != 0)))
			continue;
		c->noun = r->noun;
		c->verb = r->verb;
		return r->run(c, r->verb ? argc - 1 : argc, r->verb ? argv + 1 : argv);
	}
	if (!known)
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_COMMANDS, TEXT_UNKNOWN_NOUN, argv[0]);
	if (wants_help)
		return print_help(c, argv[0]);
	if (argc < 2)
		return cli_refuse(c, RK_EUSAGE, TEXT_HINT_HELP, TEXT_NO_VERB, argv[0]);
	return cli_refuse(c, RK_EUSAGE, TEXT_HINT_HELP, TEXT_UNKNOWN_VERB, argv[0], argv[1]);
}

static int run(struct cli *c, int argc, char **argv)
{
	int next;
	bool version;
	char *made = NULL;
	int rc = parse_globals(c, argc, argv, &next, &version);
	if (rc == CLI_HELP)
		return print_help(c, NULL);
	if (rc != RK_OK)
		return rc;
	if (version) {
		printf("renkei %s\n", VERSION);
		return RK_OK;
	}
	if (next >= argc) {
		print_help(c, NULL);
		return cli_refuse(c, RK_EUSAGE, TEXT_NONE, TEXT_NO_NOUN);
	}
	rc = find_home(c, &made);
	if (rc == RK_OK)
		rc = run_verb(c, argc - next, argv + next);
	if (rc == RK_OK)
		cmd_device_renew_if_due(c);
	cli_tell_alarms(c);
	client_close(c->client);
	cli_passphrase_free(c);
	free(made);
	return rc;
}

static int exit_code(struct cli *c, int rc)
{
	if (rc == CLI_HELP)
		rc = RK_OK;
	if (fflush(stdout) != 0 && rc == RK_OK)
		rc = RK_EIO;
	/* A reader that has seen enough, as head does, is no news: the quiet end of any program in a pipe. */
	if (rc == RK_EIO && !c->reported && out_is_cut())
		return EXIT_CUT;
	/* What a verb has not explained itself, and results that could not be written. */
	if (rc != RK_OK && rc != CLI_PARTIAL && !c->reported)
		out_error(c, rc, errcode_sentence(rc, c->lang), errcode_hint(rc, c->lang));
	return rc == CLI_PARTIAL ? EXIT_PARTIAL : errcode_exit(rc);
}

int main(int argc, char **argv)
{
	static struct cli c = {.passphrase_fd = -1};
	const struct rlimit none = {0, 0};
	/* Keys and confidential texts never go into a core file; lowering a limit is always allowed. */
	(void)setrlimit(RLIMIT_CORE, &none);
	/* Results and remarks keep their order where both go to one pipe or file. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	use_utf8();
	c.lang = text_lang_of_locale();
	if (sodium_init() < 0) {
		out_error(&c, RK_EINTERNAL, errcode_sentence(RK_EINTERNAL, c.lang), "");
		return errcode_exit(RK_EINTERNAL);
	}
	catch_signals(&c);
	return exit_code(&c, run(&c, argc, argv));
}
