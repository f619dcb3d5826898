INSERT INTO attendee (name) VALUES ('Ada Lovelace') ON CONFLICT DO NOTHING;
