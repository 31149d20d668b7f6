#!/bin/bash
# The quick part of a helpdesk's daily check, as its document writes it down: one command line a point.
ok() { if [ "$1" = 0 ]; then echo "PASS $2"; else echo "FAIL $2"; failed=1; fi; }
failed=0
code=$(curl -sI -o /dev/null -w '%{http_code}' --max-time 10 "$URL"); [ "$code" = 200 ]; ok $? "http $code"
one=$(mysql --defaults-file="$CLIENT" -Nse 'SELECT 1'); [ "$one" = 1 ]; ok $? "database"
errors=$( (tail -n 100 "$APACHE_LOG"; tail -n 100 "$DJANGO_LOG") | grep -ci error); [ "$errors" -le 10 ]; ok $? "$errors errors in the logs"
used=$(df --output=pcent / | tail -1 | tr -dc 0-9); [ "$used" -lt 98 ]; ok $? "disk $used % used"
processes=$(ps aux | grep -E '(apache|mysql|mariadbd|python)' | grep -v grep)
for name in apache mariadbd python; do grep -q $name <<<"$processes"; ok $? "process $name"; done
ls -la "$(dirname "$BACKUP")" | grep -q "$(basename "$BACKUP")"; ok $? "yesterday's backup"
size=$(du -sb "$BACKUP" | cut -f1); [ "$size" -gt 1000000 ] && [ "$size" -lt 1000000000 ]; ok $? "its size $size"
exit $failed
