fn main() {
    println!("gripwire");
}
