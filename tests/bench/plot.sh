#!/bin/bash
# plot.sh FOLDER: latency.svg and cost.svg from the .dat files that table.py wrote there; skipped, aloud, without gnuplot.
set -euo pipefail
cd "$1"
if ! command -v gnuplot >/dev/null; then
	echo "SKIPPED: plots: gnuplot is not installed (make bench-deps)" >&2
	exit 0
fi

# plot NAME TITLE X Y: a line for each block of NAME.dat.
plot() {
	local blocks
	blocks=$(grep -c '^"' "$1.dat") || return 0 # nothing of this was measured
	gnuplot <<-GNUPLOT
		set terminal svg size 900,560 background rgb "white"
		set output "$1.svg"
		set title "$2"
		set xlabel "$3"
		set ylabel "$4"
		set logscale xy
		set grid
		set key outside right
		plot for [i = 0:$blocks - 1] "$1.dat" index i using 1:2 with linespoints linewidth 2 title columnheader(1)
	GNUPLOT
	echo "plot: $PWD/$1.svg"
}

plot latency "Publish to subscriber, 1,000 posts a second" "the slowest one of ..." "ms"
plot cost "Broker CPU" "subscribers" "microseconds a delivery"
