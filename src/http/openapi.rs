//! `/openapi.json` and the page that shows it.

use actix_web::{HttpResponse, web::ServiceConfig};

/// `GET /openapi.json`.
pub async fn document() -> HttpResponse {
    HttpResponse::Ok().finish()
}

/// The page, and what it loads.
pub fn configure_docs(_app: &mut ServiceConfig) {}
