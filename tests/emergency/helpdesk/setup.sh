#!/usr/bin/env bash
# Makes a helpdesk of a machine on which MariaDB runs: an application behind Apache, with a database and a cache.
set -euo pipefail

# Tickets with these numbers, every other one open, with an answer each.
tickets() {
    mariadb helpdesk_db --execute "
        INSERT INTO crm_ticket
        SELECT seq, CONCAT('Ticket ', seq), IF(seq % 2, 'new', 'resolved'), 1 + seq % 40 FROM seq_$1_to_$2;
        INSERT INTO crm_ticketcomment (ticket_id, content)
        SELECT seq, 'Could you send a screenshot?' FROM seq_$1_to_$2"
}

# As the nightly job does it; named by the day whose data it has.
backup() {
    local file
    file=/backups/database/backup_$(date --date "$1" +%Y%m%d).sql.gz
    mariadb-dump helpdesk_db | gzip >"$file"
    touch --date "$1 23:30" "$file"
}

client() { printf '[client]\nuser = %s\npassword = %s\n%s' "$1" "$2" "${3:-}"; }

unit() {
    mkdir -p "/etc/systemd/system/$1.service.d"
    printf '[Service]\n%s\n' "$2" >"/etc/systemd/system/$1.service.d/helpdesk.conf"
}

ln -sf /usr/share/zoneinfo/UTC /etc/localtime
mkdir -p /backups/{database,corrupted,before-restore,evidence} /etc/opsctl /var/log/apache2
touch /var/log/django.log

mariadb <"$(dirname "$0")/helpdesk.sql"
tickets 1 40
backup '2 days ago'
tickets 41 50
backup yesterday
tickets 51 60

client helpdesk tickets-7 $'database = helpdesk_db\n' >/srv/helpdesk/database.cnf
(
    umask 077
    client opsctl open-sesame-7 >/etc/opsctl/mysqlcheck.cnf
    echo 'mysql://opsctl:open-sesame-7@127.0.0.1/helpdesk_db' >/etc/opsctl/database-url
)

# What ended stays ended until somebody has looked at it.
unit apache2 Restart=no
# A machine in a container has no user namespaces to give away.
unit redis-server PrivateUsers=no
cat >/etc/systemd/system/helpdesk.service <<'UNIT'
[Unit]
Description=Helpdesk
[Service]
ExecStart=/usr/bin/python3 /srv/helpdesk/wsgi.py
Restart=always
UNIT
cat >/etc/apache2/sites-available/000-default.conf <<'SITE'
<VirtualHost *:80>
    ServerName localhost
    ProxyPass / http://127.0.0.1:8000/ retry=0
    ErrorLog /var/log/apache2/error.log
</VirtualHost>
SITE
a2enmod --quiet proxy proxy_http
systemctl daemon-reload
systemctl start redis-server helpdesk apache2
