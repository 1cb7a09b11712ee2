//! What a test may choose about the provider.

/// How a sandbox starts.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The port on 127.0.0.1; 0 takes any free one.
    pub port: u16,
    /// The provider's behaviour from its first request on.
    pub settings: Settings,
}

/// The provider's behaviour; may be changed while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Life of an access token in seconds, announced as `expires_in`.
    pub token_ttl: u64,
    /// Whether every refresh brings a new refresh token and retires the old one (RFC 9700 section 4.14.2).
    pub rotate_refresh_tokens: bool,
    /// What the redirect says in `iss` (RFC 9207).
    pub iss: IssParameter,
    /// What discovery says in `authorization_response_iss_parameter_supported`.
    pub advertise_iss: bool,
    /// Seconds added to the `iat` and `exp` of ID tokens, as if the provider's clock were wrong.
    pub clock_skew: i64,
    /// Answers shaped as Google shapes them: scopes by their long names, more parameters on the redirect,
    /// a `/` in the code, errors and revocation with Google's deviations.
    pub google_shaped: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            token_ttl: 3600,
            rotate_refresh_tokens: true,
            iss: IssParameter::Right,
            advertise_iss: true,
            clock_skew: 0,
            google_shaped: false,
        }
    }
}

/// The `iss` parameter of the authorization response (RFC 9207 section 2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IssParameter {
    /// The issuer.
    Right,
    /// No such parameter.
    Absent,
    /// This text instead.
    Wrong(String),
}
