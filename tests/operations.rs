//! The operations of the OpenAPI document, and which of them a path belongs to.

use serde_json::Value;

/// The served document, as JSON.
pub fn document() -> Value {
    serde_json::to_value(freehunt_api::document()).expect("the document is JSON")
}

/// Every operation as `("GET", "/skills/{id}")`.
pub fn operations(document: &Value) -> Vec<(String, String)> {
    let paths = document["paths"].as_object().expect("the document has paths");
    let of_path = |(path, item): (&String, &Value)| -> Vec<_> {
        let methods = item.as_object().expect("a path has operations").keys();
        methods.map(|method| (method.to_uppercase(), path.clone())).collect()
    };
    paths.iter().flat_map(of_path).collect()
}

/// The document's path that a request's path is of. Fixed segments win over parameters, as in the router.
pub fn template_of<'a>(operations: &'a [(String, String)], method: &str, path: &str) -> Option<&'a str> {
    let path = path.split('?').next().unwrap_or_default().trim_matches('/');
    let fits = |template: &str| {
        let (template, path): (Vec<_>, Vec<_>) =
            (template.trim_matches('/').split('/').collect(), path.split('/').collect());
        template.len() == path.len()
            && template.iter().zip(&path).all(|(known, given)| known.starts_with('{') || known == given)
    };
    operations
        .iter()
        .filter(|(known, template)| known == method && fits(template))
        .map(|(_, template)| template.as_str())
        .min_by_key(|template| template.matches('{').count())
}

/// The path of an operation in the document, with the names of its parameters taken away.
pub fn without_names(path: &str) -> String {
    let segments = path.split('/').map(|segment| if segment.starts_with('{') { "{}" } else { segment });
    segments.collect::<Vec<_>>().join("/")
}
