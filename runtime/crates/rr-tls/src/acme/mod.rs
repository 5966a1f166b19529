//! Certificates from an authority that speaks ACME (RFC 8555): ordered when the server starts, kept in a folder, renewed
//! when a third of their time is left. Row HS-13.
//!
//! The folder is laid out as certmagic's, so that what RoadRunner has ordered is used, and the other way round.

mod port;
mod store;

use crate::files::unchecked;
use crate::{Certificates, Challenges, TlsError};
use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Identifier, LetsEncrypt, NewAccount, NewOrder, OrderStatus,
    RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::sign::CertifiedKey;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use store::Store;

/// How an authority sees that a domain is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// By an answer over plain HTTP.
    Http01,
    /// By a certificate of a TLS server.
    TlsAlpn01,
}

/// Whose certificates are ordered where.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Keeps accounts, keys and certificates.
    pub folder: PathBuf,
    /// Where the authority writes to.
    pub email: String,
    /// Each gets a certificate of its own.
    pub domains: Vec<String>,
    /// How the authority sees that they are ours.
    pub kind: Kind,
    /// Where it looks.
    pub port: u16,
    /// Let's Encrypt's certificates that browsers trust, and not those for trying it out.
    pub production: bool,
    /// URL of another authority's directory.
    pub directory: Option<String>,
    /// Who signs for that URL, PEM; the system's authorities unless given.
    pub directory_ca: Option<PathBuf>,
}

/// Between two looks at what there is.
const PERIOD: Duration = Duration::from_secs(3600);
/// After a failure, before the next try: authorities count failures per hour.
const PAUSES: [Duration; 4] =
    [Duration::from_secs(60), Duration::from_secs(600), Duration::from_secs(1800), PERIOD];
/// How long an order may take.
const LONGEST: Duration = Duration::from_secs(600);
/// How long an authority may take for one step.
const PATIENCE: RetryPolicy = RetryPolicy::new().timeout(Duration::from_secs(120));

/// Orders certificates.
#[derive(Debug)]
pub struct Orders {
    settings: Settings,
    certificates: Arc<Certificates>,
    challenges: Arc<Challenges>,
    /// The port is nobody's and is opened for the time of an order.
    open: bool,
    store: Store,
    /// When each domain is due.
    due: Vec<(String, SystemTime)>,
}

impl Orders {
    /// Reads what there is.
    ///
    /// # Errors
    /// The folder cannot be used.
    pub fn new(settings: &Settings) -> Result<Self, TlsError> {
        let directory = match (&settings.directory, settings.production) {
            (Some(url), _) => url.clone(),
            (None, true) => LetsEncrypt::Production.url().to_owned(),
            (None, false) => LetsEncrypt::Staging.url().to_owned(),
        };
        if settings.directory.is_none() && !settings.production {
            tracing::warn!(
                target: "http",
                "http.ssl.acme: certificates are for trying out, browsers do not trust them; see \
                 http.ssl.acme.use_production_endpoint"
            );
        }
        let store = Store::new(settings.folder.clone(), directory);
        let wrong = |error| {
            let shown = settings.folder.display();
            TlsError::new("http.ssl.acme.cache_dir", format!("{shown}: {error}"))
        };
        store.prepare().map_err(wrong)?;
        let mut orders = Self {
            certificates: Arc::default(),
            challenges: Arc::default(),
            open: false,
            due: settings.domains.iter().map(|domain| (domain.to_ascii_lowercase(), UNIX_EPOCH)).collect(),
            settings: settings.clone(),
            store,
        };
        orders.look();
        Ok(orders)
    }

    /// What clients get; nothing until there is a first one.
    #[must_use]
    pub fn certificates(&self) -> Arc<Certificates> {
        Arc::clone(&self.certificates)
    }

    /// What authorities are answered over plain HTTP.
    #[must_use]
    pub fn challenges(&self) -> Arc<Challenges> {
        Arc::clone(&self.challenges)
    }

    /// Where an authority looks.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.settings.port
    }

    /// Whether the port is opened for the time of an order, because no other listener of the server has it.
    pub fn set_open(&mut self, open: bool) {
        self.open = open;
    }

    /// Takes what is in the folder, and when it is due.
    fn look(&mut self) {
        for (domain, due) in &mut self.due {
            match self.store.certificate(domain) {
                Ok(None) => {}
                Ok(Some((certificate, renewal))) => {
                    if *due != renewal {
                        self.certificates.set(domain, certificate);
                        *due = renewal;
                    }
                }
                Err(error) => {
                    tracing::error!(target: "http", domain, "http.ssl.acme: a kept certificate cannot be used: {error}");
                }
            }
        }
    }

    /// Orders what is missing or due, for as long as it is polled.
    pub async fn run(mut self) {
        let mut failures = 0;
        loop {
            let mut failed = false;
            for index in 0..self.due.len() {
                let (domain, due) = self.due[index].clone();
                if due > SystemTime::now() {
                    continue;
                }
                let renewed = tokio::time::timeout(LONGEST, self.renew(&domain)).await;
                match renewed.unwrap_or_else(|_| Err(format!("the authority took more than {LONGEST:?}"))) {
                    Ok(true) => tracing::info!(target: "http", domain, "a certificate has been issued"),
                    // Another server of the same folder is at it.
                    Ok(false) => failed = true,
                    Err(error) => {
                        failed = true;
                        let pause = PAUSES[failures.min(PAUSES.len() - 1)].as_secs();
                        tracing::error!(
                            target: "http", domain,
                            "http.ssl.acme: no certificate was issued: {error}; trying again in {pause} s"
                        );
                    }
                }
            }
            let pause = if failed { PAUSES[failures.min(PAUSES.len() - 1)] } else { PERIOD };
            failures = if failed { failures + 1 } else { 0 };
            tokio::time::sleep(pause).await;
            self.look();
        }
    }

    async fn renew(&mut self, domain: &str) -> Result<bool, String> {
        // Several servers may share a folder; one of them orders.
        let Some(_lock) = self.store.lock(domain).map_err(|error| error.to_string())? else {
            return Ok(false);
        };
        self.look();
        if self.due.iter().any(|(name, due)| name == domain && *due > SystemTime::now()) {
            return Ok(true);
        }
        let account = self.account().await?;
        let ordered = match self.order(&account, domain).await {
            // It has forgotten us, as those for trying out do.
            Err(error) if error.contains("accountDoesNotExist") => {
                self.store.forget_account(&self.settings.email).map_err(|error| error.to_string())?;
                let account = self.account().await?;
                self.order(&account, domain).await
            }
            ordered => ordered,
        };
        let (chain, key) = ordered?;
        let (store, name) = (self.store.clone(), domain.to_owned());
        let kept = tokio::task::spawn_blocking(move || store.keep(&name, &chain, &key));
        let kept = kept.await.map_err(std::io::Error::other).and_then(|kept| kept);
        kept.map_err(|error| format!("it cannot be kept: {error}"))?;
        self.look();
        Ok(true)
    }

    async fn account(&self) -> Result<Account, String> {
        let builder = match &self.settings.directory_ca {
            None => Account::builder(),
            Some(path) => Account::builder_with_root(path),
        };
        let builder = builder.map_err(words)?;
        if let Some(credentials) =
            self.store.account(&self.settings.email).map_err(|error| error.to_string())?
        {
            return builder.from_credentials(credentials).await.map_err(words);
        }
        let contact = format!("mailto:{}", self.settings.email);
        let new =
            NewAccount { contact: &[&contact], terms_of_service_agreed: true, only_return_existing: false };
        let (account, credentials) =
            builder.create(&new, self.store.directory.clone(), None).await.map_err(words)?;
        self.store
            .keep_account(&self.settings.email, &credentials)
            .map_err(|error| format!("the account cannot be kept: {error}"))?;
        Ok(account)
    }

    /// A new certificate and its key, both PEM.
    async fn order(&self, account: &Account, domain: &str) -> Result<(String, String), String> {
        let names = [Identifier::Dns(domain.to_owned())];
        let mut order = account.new_order(&NewOrder::new(&names)).await.map_err(words)?;
        // Kept until the authority has looked.
        let mut answering = Vec::new();
        let settings = &self.settings;
        let open = || port::open(settings.kind, settings.port, &self.challenges, &self.certificates);
        let _open = self.open.then(open).flatten();
        let _challenge = Challenged { certificates: &self.certificates, domain };
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization.map_err(words)?;
            match authorization.status {
                AuthorizationStatus::Pending => {}
                AuthorizationStatus::Valid => continue,
                status => return Err(format!("the authority says of the domain: {status:?}")),
            }
            let kind = match self.settings.kind {
                Kind::Http01 => ChallengeType::Http01,
                Kind::TlsAlpn01 => ChallengeType::TlsAlpn01,
            };
            let mut challenge = authorization
                .challenge(kind)
                .ok_or("the authority offers no challenge of http.ssl.acme.challenge_type")?;
            let proof = challenge.key_authorization();
            match self.settings.kind {
                Kind::Http01 => answering.push(self.challenges.answering(&challenge.token, proof.as_str())),
                Kind::TlsAlpn01 => {
                    let certificate = proving(domain, proof.digest().as_ref())?;
                    self.certificates.set_challenge(domain, Some(certificate));
                }
            }
            challenge.set_ready().await.map_err(words)?;
        }
        let status = order.poll_ready(&PATIENCE).await.map_err(words)?;
        if status != OrderStatus::Ready {
            let why = self.why(&mut order).await;
            return Err(format!("the authority could not verify the domain{why}"));
        }
        let key = order.finalize().await.map_err(words)?;
        let chain = order.poll_certificate(&PATIENCE).await.map_err(words)?;
        Ok((chain, key))
    }

    /// What an authority says of a failure.
    async fn why(&self, order: &mut instant_acme::Order) -> String {
        let mut authorizations = order.authorizations();
        while let Some(Ok(mut authorization)) = authorizations.next().await {
            let Ok(state) = authorization.refresh().await else { continue };
            if let Some(problem) = state.challenges.iter().find_map(|challenge| challenge.error.as_ref()) {
                return format!(": {problem}");
            }
        }
        String::new()
    }
}

/// An error with its causes.
#[expect(clippy::needless_pass_by_value, reason = "a function to map errors by")]
fn words(error: instant_acme::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(next) = cause {
        let said = next.to_string();
        // Some repeat what their cause says.
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = next.source();
    }
    text
}

/// Takes a certificate away with which a domain was verified.
struct Challenged<'a> {
    certificates: &'a Certificates,
    domain: &'a str,
}

impl Drop for Challenged<'_> {
    fn drop(&mut self) {
        self.certificates.set_challenge(self.domain, None);
    }
}

/// The certificate that proves a domain (RFC 8737, 3).
fn proving(domain: &str, digest: &[u8]) -> Result<CertifiedKey, String> {
    if digest.len() != 32 {
        return Err("a proof that is no SHA-256".to_owned());
    }
    let words = |error: rcgen::Error| error.to_string();
    let mut params = CertificateParams::new([domain.to_owned()]).map_err(words)?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let key = KeyPair::generate().map_err(words)?;
    let certificate = params.self_signed(&key).map_err(words)?;
    // Its extension is one that must be understood, and only authorities do.
    unchecked(vec![certificate.der().clone()], key.serialize_pem().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::store::Store;
    use super::*;
    use std::path::Path;

    fn store(dir: &Path) -> Store {
        let directory = LetsEncrypt::Staging.url().to_owned();
        let store = Store::new(dir.to_owned(), directory);
        store.prepare().expect("a folder");
        store
    }

    #[test]
    fn hs_13_certificates_are_where_certmagic_keeps_them() {
        let dir = tempfile::tempdir().expect("a folder");
        let store = store(dir.path());
        let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).expect("a certificate");
        assert!(store.certificate("a.example").expect("reads").is_none());
        store.keep("a.example", &made.cert.pem(), &made.signing_key.serialize_pem()).expect("keeps");
        let folder = dir.path().join("certificates/acme-staging-v02.api.letsencrypt.org-directory/a.example");
        let mut names: Vec<_> = std::fs::read_dir(folder)
            .expect("a folder")
            .map(|entry| entry.expect("a file").file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["a.example.crt", "a.example.json", "a.example.key"]);
        let (_, due) = store.certificate("a.example").expect("reads").expect("there");
        assert!(due > SystemTime::now());
    }

    #[test]
    fn one_of_several_servers_orders() {
        let dir = tempfile::tempdir().expect("a folder");
        let store = store(dir.path());
        let first = store.lock("a.example").expect("locks");
        assert!(first.is_some() && store.lock("a.example").expect("locks").is_none());
        assert!(store.lock("b.example").expect("locks").is_some());
        drop(first);
        assert!(store.lock("a.example").expect("locks").is_some());
    }

    #[test]
    fn a_kept_certificate_is_served_and_a_broken_one_is_not() {
        let dir = tempfile::tempdir().expect("a folder");
        let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).expect("a certificate");
        let store = store(dir.path());
        store.keep("a.example", &made.cert.pem(), &made.signing_key.serialize_pem()).expect("keeps");
        let settings = Settings {
            folder: dir.path().to_owned(),
            email: "me@a.example".to_owned(),
            domains: vec!["A.example".to_owned(), "b.example".to_owned()],
            kind: Kind::Http01,
            port: 80,
            production: false,
            directory: None,
            directory_ca: None,
        };
        let orders = Orders::new(&settings).expect("reads");
        assert!(orders.certificates().find(Some("a.example")).is_some());
        assert!(orders.due[0].1 > SystemTime::now() && orders.due[1].1 == UNIX_EPOCH);
        store.keep("a.example", "nothing", "nothing").expect("keeps");
        assert!(Orders::new(&settings).expect("reads").certificates().find(Some("a.example")).is_none());
    }
}
