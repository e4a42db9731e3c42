//! Targets that are built-in applications.

use super::*;
use crate::origin::fake_origin::target;

fn send(message: &'static str) -> Request {
    let mut send = request(Method::POST, streamed(&[Ok("message="), Ok(message)], None));
    send.path_and_query = "/demo/send".into();
    send
}

fn demo() -> Route {
    let mut route = route_to(&[target(Destination::Demo)]);
    route.path_beg = Some("/demo".into());
    route
}

#[test]
fn built_in_applications_answer_without_a_socket_and_publish() {
    run(async {
        let (pool, published) = (pool(), Rc::<RefCell<Vec<Publication>>>::default());
        let published_by = published.clone();
        pool.publish_by(move |publications| {
            published_by.borrow_mut().extend(publications);
            Box::pin(async { Ok(()) })
        });
        assert_eq!(pool.request(&demo(), send("hi")).await.unwrap().status, 204);
        assert!(matches!(&published.borrow()[..], [publication] if &*publication.channel == "demo"));

        let route = route_to(&[target(Destination::Test)]);
        let large = request(Method::POST, RequestBody::Whole(vec![b'x'; 100_001].into()));
        let response = pool.request(&route, large).await.unwrap();
        assert_eq!((response.status, text(response).await.as_str()), (400, "request too large\n"));
    });
}

#[test]
fn an_application_whose_message_is_not_taken_says_so() {
    run(async {
        let pool = pool();
        pool.publish_by(|_| Box::pin(async { Err("busy".into()) }));
        let refused = pool.request(&demo(), send("hi")).await.unwrap();
        assert_eq!((refused.status, text(refused).await.as_str()), (503, "busy\n"));
        assert_eq!(pool.request(&demo(), send("")).await.unwrap().status, 400, "nothing is published");
    });
}
