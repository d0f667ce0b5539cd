//! `/docs/`: Swagger UI, from this binary alone.

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{CONTENT_SECURITY_POLICY, LOCATION},
    },
    web::{self, ServiceConfig},
};
use utoipa_swagger_ui::{Config, serve};

use crate::{
    error::{Error, Result},
    http::routes::{method_guard, method_not_allowed},
};

/// Nothing from outside, nothing inline. Swagger UI has icons in its style sheet, as data.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Sets up the page and what it loads.
pub fn configure(app: &mut ServiceConfig) {
    for path in ["/docs", "/docs/{file:.*}"] {
        app.service(
            web::resource(path)
                .route(web::route().guard(method_guard("GET")).to(show))
                .default_service(web::to(method_not_allowed)),
        );
    }
}

async fn show(http: HttpRequest) -> Result<HttpResponse> {
    let Some(file) = http.match_info().get("file") else {
        // Relative, since a proxy may serve the bus under a path of its own.
        return Ok(HttpResponse::build(StatusCode::PERMANENT_REDIRECT).insert_header((LOCATION, "docs/")).finish());
    };
    let found = serve(file, Arc::new(config())).map_err(|error| Error::fault(error.to_string()))?;
    let found = found.ok_or_else(|| Error::not_found("No such page. /docs/ is the one there is."))?;
    Ok(HttpResponse::Ok()
        .content_type(found.content_type)
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .body(found.bytes.into_owned()))
}

fn config() -> Config<'static> {
    Config::from("../openapi.json")
        .use_base_layout()
        .doc_expansion("list")
        .default_models_expand_depth(0)
        .display_request_duration(true)
        // Else every look at a public bus would send its address to a service that checks documents.
        .validator_url("none")
}
