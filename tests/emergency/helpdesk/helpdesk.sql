-- A helpdesk of 40 users; tickets come later, some before each backup.
CREATE DATABASE helpdesk_db;
USE helpdesk_db;
CREATE TABLE auth_user (id INT PRIMARY KEY AUTO_INCREMENT, username VARCHAR(150) NOT NULL UNIQUE,
  is_staff BOOLEAN NOT NULL, is_active BOOLEAN NOT NULL, last_login DATETIME(6));
CREATE TABLE crm_userprofile (id INT PRIMARY KEY AUTO_INCREMENT, user_id INT NOT NULL UNIQUE,
  is_locked BOOLEAN NOT NULL, lock_reason VARCHAR(200) NOT NULL, last_login_ip VARCHAR(45),
  FOREIGN KEY (user_id) REFERENCES auth_user (id));
CREATE TABLE crm_ticket (id INT PRIMARY KEY AUTO_INCREMENT, title VARCHAR(200) NOT NULL, status VARCHAR(20) NOT NULL,
  created_by_id INT NOT NULL, FOREIGN KEY (created_by_id) REFERENCES auth_user (id));
-- Without a foreign key: deleting a ticket past the application leaves its comments.
CREATE TABLE crm_ticketcomment (id INT PRIMARY KEY AUTO_INCREMENT, ticket_id INT NOT NULL, content TEXT NOT NULL,
  KEY (ticket_id));
CREATE TABLE django_session (session_key VARCHAR(40) PRIMARY KEY, session_data TEXT NOT NULL,
  expire_date DATETIME(6) NOT NULL);

INSERT INTO auth_user SELECT seq, IF(seq = 1, 'admin', CONCAT('user', seq)), seq <= 12, 1, NOW(6) FROM seq_1_to_40;
INSERT INTO crm_userprofile SELECT seq, seq, 0, '', CONCAT('10.20.0.', seq) FROM seq_1_to_40;
INSERT INTO django_session SELECT MD5(seq), 'e30:test', NOW() + INTERVAL 14 DAY FROM seq_1_to_12;

CREATE USER helpdesk@localhost IDENTIFIED BY 'tickets-7';
GRANT ALL ON helpdesk_db.* TO helpdesk@localhost;
CREATE USER opsctl@localhost IDENTIFIED BY 'open-sesame-7';
GRANT ALL ON *.* TO opsctl@localhost;
