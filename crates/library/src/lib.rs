//! Here is an item, keep it. Here is a vector, who is near?
