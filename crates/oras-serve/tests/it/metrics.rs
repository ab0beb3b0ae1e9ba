//! `/metrics` and the probes.

use oras_serve::{ServerOptions, User};
use oras_testkit::nodes::empty;

use crate::client::{layouts, memory};

#[tokio::test]
async fn counts_requests() {
    let registry = memory(ServerOptions::default()).await;
    registry.push_blob("a", &empty()).await;
    registry.get("a/tags/list").await;
    registry.send("EVIL", "a/tags/list", &[], "").await;
    registry.get("/evil\"}{").await;
    let upload = registry.open("a").await;
    let answer = registry.get("/metrics").await;
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    for line in [
        "oras_requests_total{endpoint=\"upload\",method=\"POST\",status=\"2xx\"} 2",
        "oras_requests_total{endpoint=\"tags\",method=\"GET\",status=\"2xx\"} 1",
        "oras_requests_total{endpoint=\"tags\",method=\"other\",status=\"4xx\"} 1",
        "oras_requests_total{endpoint=\"other\",method=\"GET\",status=\"4xx\"} 1",
        "oras_request_duration_seconds_count{endpoint=\"upload\"} 2",
        "oras_uploads 1",
        "oras_connections 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
    let of = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
        line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()
    };
    assert!(of("oras_received_bytes_total") > 300 && of("oras_sent_bytes_total") > 300, "{text}");
    assert!(!text.to_lowercase().contains("evil") && !text.contains("/v2/"), "{text}");
    // Every series has a type, every line a value.
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let name = series.split('{').next().unwrap();
        let name =
            ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        assert!(text.contains(&format!("# TYPE {name} ")) && value.parse::<f64>().is_ok(), "{line}");
    }
    registry.send("DELETE", &upload, &[], "").await;
    assert_eq!(registry.send("POST", "/metrics", &[], "").await.status, 405);
}

#[tokio::test]
async fn metrics_need_a_user_and_probes_do_not() {
    let users = vec![User::new("ann", "s3cret")];
    let ann = ("authorization", "Basic YW5uOnMzY3JldA==");
    let closed = ServerOptions::default().users(users).anonymous_pull(true);
    let open = closed.clone().open_metrics(true);
    let registry = memory(closed).await;
    let refused = registry.get("/metrics").await;
    refused.refused(401, "UNAUTHORIZED");
    assert_eq!(refused.header("www-authenticate"), "Basic realm=\"oras\"");
    assert_eq!(registry.send("GET", "/metrics", &[ann], "").await.status, 200);
    assert_eq!(memory(open).await.get("/metrics").await.status, 200);
    for path in ["/healthz", "/readyz"] {
        let answer = registry.get(path).await;
        assert_eq!((answer.status, &answer.body[..]), (200, &b"ok\n"[..]), "{path}");
        assert_eq!(registry.head(path).await.status, 200);
        assert_eq!(registry.send("POST", path, &[], "").await.status, 405);
    }
    assert_eq!(layouts(ServerOptions::default()).await.get("/readyz").await.status, 200);
}
