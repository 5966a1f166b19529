//! Configuration of nginx + php-fpm, each given what helps it: opcache without stat calls, no logs, no disk buffers.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::keeper::Keeper;

/// Commands for php-fpm and nginx, in this order, with files in a directory of their own.
pub(crate) fn commands(keeper: &Keeper, address: SocketAddr, index: &Path) -> Result<[Command; 2]> {
    let dir = keeper.dir().join(format!("nginx-{}", address.port()));
    fs::create_dir(&dir)?;
    let root = fs::metadata("/proc/self")?.uid() == 0;
    let fpm_conf = write(&dir, "fpm.conf", &fpm(&dir, root))?;
    let nginx_conf = write(&dir, "nginx.conf", &nginx(&dir, address, index, root))?;

    let mut fpm = Keeper::command("php-fpm8.2");
    fpm.args(["-F", "-d", "opcache.enable=1", "-d", "opcache.validate_timestamps=0", "-y"]).arg(fpm_conf);
    if root {
        fpm.arg("-R");
    }
    let mut nginx = Keeper::command("nginx");
    nginx.arg("-p").arg(&dir).arg("-e").arg("stderr").arg("-c").arg(nginx_conf);
    Ok([fpm, nginx])
}

fn write(dir: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = dir.join(name);
    fs::write(&path, text)?;
    Ok(path)
}

fn fpm(dir: &Path, root: bool) -> String {
    let user = if root { "user = root\ngroup = root\n" } else { "" };
    let dir = dir.display();
    format!(
        "[global]\nerror_log = {dir}/fpm.log\nlog_level = warning\ndaemonize = no\n\
         [www]\n{user}listen = {dir}/fpm.sock\nlisten.backlog = 511\n\
         pm = static\npm.max_children = 4\npm.max_requests = 0\n"
    )
}

fn nginx(dir: &Path, address: SocketAddr, index: &Path, root: bool) -> String {
    let user = if root { "user root root;" } else { "" };
    let dir = dir.display();
    let index = index.display();
    format!(
        r#"{user}
daemon off;
worker_processes 2;
pid {dir}/nginx.pid;
error_log stderr error;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 100000000;
    client_body_temp_path {dir}/body;
    fastcgi_temp_path {dir}/fastcgi;
    proxy_temp_path {dir}/proxy;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    client_body_buffer_size 64k;
    fastcgi_buffer_size 16k;
    fastcgi_buffers 8 32k;
    server {{
        listen {address} backlog=511;
        location / {{
            fastcgi_pass unix:{dir}/fpm.sock;
            fastcgi_param SCRIPT_FILENAME "{index}";
            fastcgi_param QUERY_STRING $query_string;
            fastcgi_param REQUEST_METHOD $request_method;
            fastcgi_param CONTENT_TYPE $content_type;
            fastcgi_param CONTENT_LENGTH $content_length;
            fastcgi_param SCRIPT_NAME /index.php;
            fastcgi_param REQUEST_URI $request_uri;
            fastcgi_param DOCUMENT_URI $document_uri;
            fastcgi_param SERVER_PROTOCOL $server_protocol;
            fastcgi_param GATEWAY_INTERFACE CGI/1.1;
            fastcgi_param REMOTE_ADDR $remote_addr;
            fastcgi_param SERVER_ADDR $server_addr;
            fastcgi_param SERVER_PORT $server_port;
            fastcgi_param SERVER_NAME $server_name;
            fastcgi_param REDIRECT_STATUS 200;
        }}
    }}
}}
"#
    )
}
