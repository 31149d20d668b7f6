//! A mail server (the mail proxy of nginx) on 127.0.0.1, for all tests.

use std::net::TcpStream;
use std::sync::OnceLock;

use super::server::{self, free_port, program, start, wait_until};
use super::web;

/// Each field is a port. TLS is by the certificate of [`web::local`], for localhost and 127.0.0.1.
pub struct Mail {
    /// These begin without TLS and offer it.
    pub smtp: u16,
    pub imap: u16,
    pub pop3: u16,
    /// SMTP that offers no TLS.
    pub plain_smtp: u16,
    pub plain_imap: u16,
}

pub fn mail() -> &'static Mail {
    static MAIL: OnceLock<Mail> = OnceLock::new();
    MAIL.get_or_init(|| {
        let folder = server::folder("mail");
        let (at, tls) = (folder.display(), web::local());
        let mail = Mail {
            smtp: free_port(),
            imap: free_port(),
            pop3: free_port(),
            plain_smtp: free_port(),
            plain_imap: free_port(),
        };
        let listeners = [
            (mail.smtp, "smtp", "on"),
            (mail.imap, "imap", "on"),
            (mail.pop3, "pop3", "on"),
            (mail.plain_smtp, "smtp", "off"),
            (mail.plain_imap, "imap", "off"),
        ]
        .map(|(port, protocol, tls)| {
            format!("  server {{ listen 127.0.0.1:{port}; protocol {protocol}; starttls {tls}; }}\n")
        })
        .concat();
        let configuration = format!(
            "load_module /usr/lib/nginx/modules/ngx_mail_module.so;\n\
             daemon off; master_process off; pid {at}/pid; error_log {at}/error.log;\nevents {{}}\n\
             mail {{\n  server_name mail.example.test; auth_http 127.0.0.1:1/;\n  smtp_auth none;\n  \
             ssl_certificate {}; ssl_certificate_key {};\n{listeners}}}\n",
            tls.certificate.display(),
            tls.key.display()
        );
        let file = folder.join("mail.conf");
        std::fs::write(&file, configuration).expect("a file");
        start(vec![program("nginx"), "-c".into(), file.display().to_string()]);
        wait_until("the mail proxy of nginx", || TcpStream::connect(("127.0.0.1", mail.plain_imap)).is_ok());
        mail
    })
}
