//! What browsers may do: which pages may call the service, under which host names, and what a browser may do with a
//! response. Every request passes here before anything else happens, because a browser sends the requests of any page.

pub(crate) mod cors;
pub(crate) mod hosts;

use actix_web::{
    Error, HttpResponse, ResponseError,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method, StatusCode,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
    middleware::Next,
    web,
};
use ltm_types::{Problem, ProblemKind};

use self::{
    cors::{Origins, Page},
    hosts::{Authority, HostNames},
};
use super::{
    admission::trusted_proxies::TrustedProxies, connection::ConnectionState,
    problem::ProblemResponse, settings::HttpSettings, vary::vary_by,
};

/// The paths that monitoring requests under any host. They name no LTM.
const MONITORED: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// Where a browser says how the page and the request are related (W3C Fetch Metadata). A page cannot set these headers.
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const DESTINATION: HeaderName = HeaderName::from_static("sec-fetch-dest");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The headers of a response that has no others of these names: only the caller keeps it, and only as what it is.
const DEFAULT_HEADERS: [(HeaderName, HeaderValue); 2] = [
    (
        header::CACHE_CONTROL,
        HeaderValue::from_static("private, no-cache"),
    ),
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
];
/// Which pages may have a response without reading it, as an image or by a request without CORS.
const EMBEDDING: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Decides which requests of browsers the service answers. All workers share it.
pub(crate) struct BrowserPolicy {
    origins: Origins,
    /// `None`: clients may address the service by any name.
    hosts: Option<HostNames>,
    proxies: TrustedProxies,
}

impl BrowserPolicy {
    /// The policy of a service. If it is `open`, callers need no credential. Otherwise a page of a stranger has none, so it
    /// does not matter under which name it addresses the service.
    pub(crate) fn new(origins: Origins, http: &HttpSettings, open: bool) -> Self {
        let hosts = http.hosts.clone();
        Self {
            origins,
            hosts: (open || !hosts.is_empty()).then_some(hosts),
            proxies: http.trusted_proxies.clone(),
        }
    }

    /// The page that sent a request.
    fn page(&self, request: &ServiceRequest) -> Result<Page, Problem> {
        if let Some(names) = &self.hosts
            && !MONITORED.contains(&request.path())
            && !self.hosts(request).all(|host| names.allow(host))
        {
            let detail = "this service does not answer under this host name: use its address or `localhost`, or add the \
                          name to `http.hosts`";
            return Err(Problem::new(ProblemKind::UnknownHost, detail).with_field("Host"));
        }
        let mut origins = request.headers().get_all(header::ORIGIN);
        let page = match (origins.next(), origins.next()) {
            (None, _) if self.origins.include_all() || !loads_for_a_foreign_page(request) => {
                Some(Page::Own)
            }
            (Some(_), _) if self.origins.include_all() => Some(Page::Any),
            (Some(origin), None) => self.page_of(origin, request),
            _ => None,
        };
        page.ok_or_else(|| {
            let detail =
                "pages of this origin may not call this service: add the origin to `cors.origins`";
            Problem::new(ProblemKind::OriginForbidden, detail).with_field("Origin")
        })
    }

    /// The page of this origin; `None` if it may not call.
    fn page_of(&self, origin: &HeaderValue, request: &ServiceRequest) -> Option<Page> {
        let text = origin.to_str().ok()?;
        let site = text_of(request.headers(), &SITE);
        if site == Some("same-origin") {
            return Some(Page::Own);
        }
        let cookies = self.origins.name(text);
        if cookies {
            let origin = origin.clone();
            return Some(Page::Other { origin, cookies });
        }
        let page = Authority::of_origin(text)?;
        let mut hosts = self.hosts(request).filter_map(Authority::parse);
        // Older browsers, and those that do not trust the connection, do not say whether the origin is the same.
        if site.is_none() && hosts.any(|host| page.is_served_under(host)) {
            return Some(Page::Own);
        }
        let mut hosts = self.hosts(request).filter_map(Authority::parse);
        if page.is_loopback() && hosts.any(Authority::is_loopback) {
            let origin = origin.clone();
            return Some(Page::Other { origin, cookies });
        }
        None
    }

    /// The hosts that the client may have addressed. One that is not text is empty.
    fn hosts<'a>(&'a self, request: &'a ServiceRequest) -> impl Iterator<Item = &'a str> {
        let headers = request.headers();
        let text = |value: &'a HeaderValue| value.to_str().unwrap_or_default();
        let target = request.uri().authority().map(|it| it.as_str());
        let peer = request.peer_addr().map(|peer| peer.ip());
        let forwarded = peer.filter(|peer| self.proxies.trust(*peer));
        let forwarded = forwarded.map(|_| headers.get_all(FORWARDED_HOST));
        let forwarded = forwarded.into_iter().flatten().map(text);
        let all = headers.get_all(header::HOST).map(text);
        target
            .into_iter()
            .chain(all)
            .chain(forwarded.flat_map(|line| line.split(',').map(str::trim)))
    }
}

/// Whether a page of another origin loads this as an image, a script, a frame or the like. The browser then sends no
/// `Origin`. A person who follows a link navigates to a document, which is no load.
fn loads_for_a_foreign_page(request: &ServiceRequest) -> bool {
    let headers = request.headers();
    let is_foreign = matches!(text_of(headers, &SITE), Some("cross-site" | "same-site"));
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let navigates = text_of(headers, &MODE) == Some("navigate")
        && matches!(text_of(headers, &DESTINATION), None | Some("document"));
    is_foreign && !(reads && navigates)
}

fn text_of<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The middleware that refuses the pages that may not call, and answers the preflight requests of the others.
pub(crate) async fn guard<B: MessageBody + 'static>(
    policy: web::Data<BrowserPolicy>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let page = match policy.page(&request) {
        Ok(page) => page,
        Err(problem) => {
            count(&request);
            let refusal = ProblemResponse(problem).error_response();
            return Ok(request.into_response(refusal));
        }
    };
    let headers = request.headers();
    let is_preflight = *request.method() == Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if is_preflight {
        count(&request);
        let asked = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
        let mut response = HttpResponse::Ok().finish();
        page.mark_preflight(response.headers_mut(), asked);
        request.into_response(response)
    } else {
        let mut response = next.call(request).await?.map_into_boxed_body();
        page.mark(response.headers_mut());
        response
    };
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Ok(response);
    }
    let is_public = page != Page::Own || policy.origins.include_all();
    let embedding = if is_public {
        "cross-origin"
    } else {
        "same-origin"
    };
    let embedding = (EMBEDDING, HeaderValue::from_static(embedding));
    let headers = response.headers_mut();
    for (name, value) in DEFAULT_HEADERS.into_iter().chain([embedding]) {
        if !headers.contains_key(&name) {
            headers.insert(name, value);
        }
    }
    if page != Page::Any {
        vary_by(headers, header::ORIGIN);
    }
    Ok(response)
}

/// Counts a request that is answered here. Otherwise its connection would pass for one that sent none.
fn count(request: &ServiceRequest) {
    drop(
        request
            .conn_data::<ConnectionState>()
            .map(ConnectionState::begin),
    );
}
