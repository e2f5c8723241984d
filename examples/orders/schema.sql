-- Processes that begin together wait for each other: IF NOT EXISTS alone is not safe against itself.
SELECT pg_advisory_xact_lock(hashtextextended('orders/schema', 0));

-- The read model.
CREATE TABLE IF NOT EXISTS orders (
	id       text PRIMARY KEY,
	version  bigint NOT NULL,
	status   text NOT NULL,
	product  text NOT NULL,
	quantity bigint NOT NULL,
	cents    bigint NOT NULL,
	parcel   text NOT NULL DEFAULT ''
);

-- Billing.
CREATE TABLE IF NOT EXISTS invoices (
	order_id text PRIMARY KEY,
	cents    bigint NOT NULL,
	void     boolean NOT NULL DEFAULT false
);

-- The warehouse: what it has, and what it took from there for each order.
CREATE TABLE IF NOT EXISTS stock (
	product text PRIMARY KEY,
	pieces  bigint NOT NULL
);
CREATE TABLE IF NOT EXISTS picks (
	order_id text PRIMARY KEY,
	pieces   bigint NOT NULL
);
INSERT INTO stock VALUES ('apple', 1000000), ('pear', 1000000) ON CONFLICT DO NOTHING;
