//! Mirrors a repository with its referrers into an OCI layout, and back into another repository.
//!
//! `mirror_repository localhost:5000/app ./layout localhost:5001/app [user password]`
#![expect(clippy::print_stdout, reason = "an example prints what it does")]

use std::error::Error;

use oras::remote::{Client, ClientOptions, Credential, Repository, StaticCredentials};
use oras::spec::Reference;
use oras::{Layout, MirrorOptions, Quiet, mirror};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [from, layout, to, login @ ..] = &args[..] else {
        return Err("usage: mirror_repository <repository> <layout> <repository> [user password]".into());
    };
    let target: Reference = to.parse()?;
    let mut options = ClientOptions::default();
    if let [user, password] = login {
        let credential = Credential::basic(user, password.as_str());
        // Only this registry gets the password.
        options = options.credentials(StaticCredentials::for_server(target.host(), credential));
    }
    let client = Client::new(options)?;
    let layout = Layout::open_or_create(layout).await?;
    let everything = MirrorOptions::default().referrers(true);

    for tag in mirror(Repository::open(&client, from)?, layout.clone(), everything.clone(), Quiet).await? {
        println!("saved {} {}", tag.tag, tag.root.digest);
    }
    for tag in mirror(layout, Repository::new(&client, &target)?, everything, Quiet).await? {
        println!("{} {} {}", if tag.is_unchanged { "unchanged" } else { "pushed" }, tag.tag, tag.root.digest);
    }
    Ok(())
}
