//! The routes file that every server under test is given, and the ports it names.
//!
//! Pushpin's own syntax. Cases reach a route by its host; where a case must know which of several routes was taken,
//! the route says so in an `X-Route` request header. All hosts but those listed go to the origin.

use std::net::SocketAddr;
use std::sync::OnceLock;

use gripwire_harness::origin::Origin;

use super::origin;

/// The text of the routes file of a server whose control port is `control`.
pub fn text(control: SocketAddr) -> String {
    let addresses = [
        ("ORIGIN", origin::address()),
        ("APART", origin::address_apart()),
        ("HASTY", origin::hasty_address()),
        ("DEAD", dead_address()),
        ("CONTROL", control),
    ];
    addresses.iter().fold(ROUTES.to_owned(), |text, (name, at)| text.replace(name, &at.to_string()))
}

/// An address that refuses connections.
pub fn dead_address() -> SocketAddr {
    static DEAD: OnceLock<Origin> = OnceLock::new();
    DEAD.get_or_init(Origin::refusing).address()
}

const ROUTES: &str = r#"# a comment, then an empty line

*,header=X-Route:any ORIGIN # a comment after a route
exact.test,header=X-Route:exact ORIGIN

# the longest path_beg wins, wherever it stands
paths.test,path_beg=/long,header=X-Route:long ORIGIN
paths.test,path_beg=/long/longer,header=X-Route:longer ORIGIN
paths.test,path_beg=/,header=X-Route:root ORIGIN

# no route for paths that do not begin with /only
only.test,path_beg=/only ORIGIN

plain.test,ssl=no,header=X-Route:plain ORIGIN
tls.test,ssl=yes,header=X-Route:tls ORIGIN
tls.test,header=X-Route:whichever ORIGIN
named.test,id=a-name,header=X-Route:named ORIGIN
http.test,proto=http,header=X-Route:http ORIGIN
http.test,proto=ws,header=X-Route:ws ORIGIN

renamed.test,as_host=inner.test:8123 ORIGIN
target-host.test ORIGIN,host=target.test
removal.test,path_beg=/removed,path_rem=8 ORIGIN
replacement.test,path_beg=/old,replace_beg=/new ORIGIN
quoted.test,header="X-Quoted:one, two # three" ORIGIN
set-header.test,header=X-Set:by-route,header=X-Gone: ORIGIN
marked.test,orig_headers ORIGIN
prefixed.test,prefix=pre- ORIGIN
implied.test ORIGIN,sub=implied-channel
unsigned.test,no_grip ORIGIN
other-key.test,sig_iss=another,sig_key=another-key ORIGIN
informative.test,debug DEAD

crowded-poll.test,prefix=pre- ORIGIN
crowded-stream.test ORIGIN
crowded-socket.test ORIGIN,over_http
tenant.test,prefix=t-,debug,header=X-Route:tenant ORIGIN
half-trusted.test,debug ORIGIN DEAD,untrusted
own-port.test ORIGIN
own-port.test,path_beg=/stats CONTROL

down.test DEAD
failover.test DEAD ORIGIN
both-down.test DEAD DEAD
first-answers.test ORIGIN,host=first.test ORIGIN,host=second.test
sockets.test ORIGIN,over_http
one-event.test ORIGIN,over_http,one_event
private.test,debug ORIGIN,untrusted
cross.test,aco ORIGIN
cross-basic.test,aco,jsonp_mode=basic,jsonp_cb=cb ORIGIN
cross-body.test,aco,jsonp_body=b,jsonp_defcb=dcb,jsonp_defmethod=PUT ORIGIN
cross-down.test,aco DEAD
sockjs.test,sockjs=/sockjs,sockjs_as_path=/sockjs-application ORIGIN,over_http
sockjs-native.test,sockjs=/sockjs-native ORIGIN
by-id.test,path_beg=/by-id,id=chosen,header=X-Route:chosen ORIGIN
pass.test ORIGIN
apart.test APART
hasty.test HASTY
counted-request.test,id=counted-request ORIGIN
counted-stream.test,id=counted-stream ORIGIN
counted-poll.test,id=counted-poll ORIGIN
counted-bytes.test,id=counted-bytes ORIGIN
counted-heads.test,id=counted-heads ORIGIN
counted-talk.test,id=counted-talk ORIGIN,over_http
counted-socket.test,id=counted-socket ORIGIN,over_http
counted-pass.test,id=counted-pass ORIGIN
pass-implied.test ORIGIN,sub=pass-implied-channel
pass-kept.test ORIGIN,sub=pass-kept-channel
pass-edited.test,path_beg=/old,replace_beg=/new,header=X-Set:by-route ORIGIN,host=target.test
builtin.test test
builtin-below.test,path_beg=/below test
"#;
