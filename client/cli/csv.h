/*
 * csv: lines for spreadsheets, RFC 4180.  Cells come from other members too, and a spreadsheet runs what looks like a formula: so a cell
 * that begins with = + - @, a tab or a carriage return gets a quote character (') before it.  Pure functions.
 */
#ifndef RENKEI_CLI_CSV_H
#define RENKEI_CLI_CSV_H

#include <stddef.h>

/** The cells, separated by commas and ended by CRLF; NULL is an empty cell.  malloc'ed; NULL without memory. */
char *csv_line(const char *const *cells, size_t n);

#endif
