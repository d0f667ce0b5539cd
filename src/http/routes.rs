//! The one table of routes. The tests walk it too: each entry must refuse whoever may not use it, and those of the API must be
//! in `/openapi.json`.

use actix_web::{
    HttpRequest, HttpResponse, guard,
    http::header::ALLOW,
    web::{self, ServiceConfig},
};

use super::{admin, dashboard, intents, meta, openapi, values};
use crate::{
    domain::scopes::Scope,
    error::{Error, ErrorCode},
};

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Open,
    /// Holders of an API key that may be used for this.
    Client(Scope),
    /// Operators.
    Admin,
    /// Holders of the metrics token, and operators.
    Metrics,
}

/// One route.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// `GET` (which answers `HEAD` too) or `POST`.
    pub method: &'static str,
    /// The pattern of the path.
    pub path: &'static str,
    /// Who may use it.
    pub access: Access,
}

/// Declares a table and the function that sets it up.
macro_rules! routes {
    (
        $(#[$about:meta])* $table:ident, $set_up:ident:
        $($method:ident $path:literal $access:ident $(($scope:ident))? => $handler:path),+ $(,)?
    ) => {
        $(#[$about])*
        pub const $table: &[Route] = &[$(Route {
            method: stringify!($method),
            path: $path,
            access: Access::$access $((Scope::$scope))?,
        }),+];

        fn $set_up(app: &mut ServiceConfig) {
            $(app.service(
                web::resource($path)
                    .app_data(Access::$access $((Scope::$scope))?)
                    .route(web::route().guard(method_guard(stringify!($method))).to($handler))
                    .default_service(web::to(method_not_allowed)),
            );)+
        }
    };
}

/// Sets up every route. Each path has one method; others get 405, other paths 404.
pub fn configure(app: &mut ServiceConfig) {
    set_up_api(app);
    set_up_pages(app);
    openapi::configure_docs(app);
    app.default_service(web::to(no_such_path));
}

routes! {
    /// Every route of the API.
    ROUTES, set_up_api:
    GET "/" Open => meta::index,
    GET "/health" Open => meta::health,
    GET "/livez" Open => meta::livez,
    GET "/readyz" Open => meta::readyz,
    GET "/openapi.json" Open => openapi::document,
    GET "/metrics" Metrics => meta::metrics,
    POST "/intent" Client(Publish) => intents::publish::publish,
    POST "/intents" Client(Publish) => intents::publish_many::publish_many,
    POST "/claim" Client(Work) => intents::claim::claim,
    POST "/fulfill" Client(Work) => intents::fulfill_many::fulfill_many,
    POST "/fulfill/{id}" Client(Work) => intents::fulfill::fulfill,
    POST "/fail" Client(Work) => intents::fail_many::fail_many,
    POST "/fail/{id}" Client(Work) => intents::fail::fail,
    POST "/extend_claim/{id}" Client(Work) => intents::extend::extend,
    GET "/status/{id}" Client(Read) => intents::status::status,
    GET "/result/{id}" Client(Read) => intents::result::result,
    POST "/set/{key:.*}" Client(Values) => values::set::set,
    GET "/get/{key:.*}" Client(Values) => values::get::get,
    GET "/admin/dashboard" Admin => dashboard::dashboard,
    POST "/admin/generate_key" Admin => admin::keys::generate_key,
    POST "/admin/revoke_key" Admin => admin::keys::revoke_key,
    POST "/admin/purge" Admin => admin::upkeep::purge,
    POST "/admin/cleanup" Admin => admin::upkeep::cleanup,
    GET "/admin/overview" Admin => admin::overview::show,
    GET "/admin/workers" Admin => admin::workers::list,
    GET "/admin/audit" Admin => admin::audit::list,
    GET "/admin/keys" Admin => admin::keys::list,
    POST "/admin/keys/{number}/rotate" Admin => admin::keys::rotate,
    POST "/admin/keys/{number}/scopes" Admin => admin::keys::set_scopes,
    POST "/admin/keys/{number}/revoke" Admin => admin::keys::revoke_number,
    POST "/admin/tenants/{number}/limits" Admin => admin::tenants::set_limits,
    POST "/admin/pause" Admin => admin::pauses::pause,
    POST "/admin/resume" Admin => admin::pauses::resume,
    GET "/admin/pauses" Admin => admin::pauses::list,
    GET "/admin/intents" Admin => admin::search::search,
    GET "/admin/intents/{id}" Admin => admin::intents::show,
    POST "/admin/intents/{id}/cancel" Admin => admin::intents::cancel,
    POST "/admin/intents/{id}/retry" Admin => admin::intents::retry,
    GET "/admin/dead" Admin => admin::dead::list,
    POST "/admin/dead/redrive" Admin => admin::redrive::redrive,
    GET "/admin/dead/{id}" Admin => admin::dead::show,
    GET "/admin/style.css" Open => dashboard::style,
}

routes! {
    /// Every route of the dashboard, for people: what can be done there can be done by the API, so that `/openapi.json` has none
    /// of them. `tests/it/dashboard` sees to it that each change needs a form's token.
    PAGES, set_up_pages:
    GET "/admin/events" Admin => dashboard::events,
    GET "/admin/dashboard/parts" Admin => dashboard::fragments,
    GET "/admin/dashboard/script.js" Admin => dashboard::script,
    GET "/admin/dashboard/icon.svg" Admin => dashboard::icon,
    GET "/admin/dashboard/intents" Admin => dashboard::intents::list,
    GET "/admin/dashboard/intents/{id}" Admin => dashboard::intents::show,
    POST "/admin/dashboard/intents/{id}/cancel" Admin => dashboard::intents::cancel,
    POST "/admin/dashboard/intents/{id}/retry" Admin => dashboard::intents::retry,
    GET "/admin/dashboard/dead" Admin => dashboard::dead::list,
    GET "/admin/dashboard/dead/redrive" Admin => dashboard::dead::preview,
    POST "/admin/dashboard/dead/redrive/start" Admin => dashboard::dead::start,
    GET "/admin/dashboard/workers" Admin => dashboard::workers::list,
    GET "/admin/dashboard/pauses" Admin => dashboard::pauses::list,
    POST "/admin/dashboard/pauses/pause" Admin => dashboard::pauses::pause,
    POST "/admin/dashboard/pauses/resume" Admin => dashboard::pauses::resume,
    GET "/admin/dashboard/keys" Admin => dashboard::keys::list,
    POST "/admin/dashboard/keys/create" Admin => dashboard::keys::create,
    GET "/admin/dashboard/keys/{number}" Admin => dashboard::keys::show,
    POST "/admin/dashboard/keys/{number}/rotate" Admin => dashboard::keys::rotate,
    POST "/admin/dashboard/keys/{number}/reach" Admin => dashboard::keys::reach,
    POST "/admin/dashboard/keys/{number}/limits" Admin => dashboard::keys::limits,
    POST "/admin/dashboard/keys/{number}/revoke" Admin => dashboard::keys::revoke,
    GET "/admin/dashboard/audit" Admin => dashboard::audit::list,
    GET "/admin/dashboard/purge" Admin => dashboard::purge::show,
    POST "/admin/dashboard/purge/start" Admin => dashboard::purge::start,
}

/// Whether a request to this path brings many things, and so may be larger than others.
#[must_use]
pub fn takes_many(path: &str) -> bool {
    ["/intents", "/fulfill", "/fail"].contains(&path)
}

/// Probes are answered whatever else is refused.
#[must_use]
pub fn is_probe(path: &str) -> bool {
    ["/livez", "/readyz", "/health"].contains(&path)
}

pub(super) fn method_guard(method: &str) -> impl guard::Guard {
    if method == "GET" { guard::Any(guard::Get()).or(guard::Head()) } else { guard::Any(guard::Post()) }
}

pub(super) async fn method_not_allowed(request: HttpRequest) -> HttpResponse {
    use actix_web::ResponseError;
    let pattern = request.match_pattern();
    let allowed = ROUTES
        .iter()
        .chain(PAGES)
        .find(|route| Some(route.path) == pattern.as_deref())
        .map_or("GET, HEAD", |route| if route.method == "GET" { "GET, HEAD" } else { "POST" });
    let error = Error::new(ErrorCode::MethodNotAllowed, format!("This path takes {allowed}."));
    let mut answer = error.error_response();
    answer.headers_mut().insert(ALLOW, actix_web::http::header::HeaderValue::from_static(allowed));
    answer
}

async fn no_such_path() -> Result<HttpResponse, Error> {
    Err(Error::not_found("No such path. /openapi.json lists them all, /docs/ shows them."))
}
