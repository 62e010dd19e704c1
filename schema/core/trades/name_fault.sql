-- Without settings, so that it is inlined where it is called. The CHECKs of the tables say the same.
CREATE OR REPLACE FUNCTION entasis_internal.name_fault(kind text, name text) RETURNS text
LANGUAGE sql STABLE
RETURN CASE
    WHEN name = '' OR length(name) > 64
        THEN format('the %s "%s" has %s characters; 1 to 64 fit', kind, name, length(name))
    WHEN
        name
        ~ '^\s|\s$|[\u0001-\u001f\u007f-\u00a0\u061c'
        '\u1680\u2000-\u200b\u200e\u200f\u2028-\u202f\u205f-\u2069\u3000\ufeff]'
        THEN
            format(
                'the %s %s has a space at an end, or a character that controls or turns text',
                kind,
                to_json(name)
            )
END;

COMMENT ON FUNCTION entasis_internal.name_fault IS
'Why a text cannot name an instrument, a venue or an underlying (kind says which, for the reason). NULL: it can.';
