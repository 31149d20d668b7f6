#!/bin/bash
# The same with the monitoring plugins, one after another. No plugin reads the end of a log or, in the basic package, a database.
PATH=/usr/lib/nagios/plugins:$PATH
failed=0
run() { "$@" || failed=1; }
host=${URL#http://}; host=${host%/}
run check_http -H "${host%:*}" -p "${host#*:}" -u / -e 200
one=$(mysql --defaults-file="$CLIENT" -Nse 'SELECT 1'); [ "$one" = 1 ] || failed=1
errors=$( (tail -n 100 "$APACHE_LOG"; tail -n 100 "$DJANGO_LOG") | grep -ci error); [ "$errors" -le 10 ] || failed=1
run check_disk -w 20% -c 10% -p /
run check_procs -c 1: -C apache2
run check_procs -c 1: -C mariadbd
run check_procs -c 1: -a python
run check_file_age -w 172800 -c 259200 -W 1000000 -C 1000 -f "$BACKUP"
exit $failed
