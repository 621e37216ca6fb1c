//! Protobuf messages, written in place: each field is copied once, to where it leaves from.
//!
//! An encoder would want every message as a value first, with a length counted for each before it is written.

/// A message that is being written, after whatever was in the buffer before.
pub struct Writer<'b>(&'b mut Vec<u8>);

/// A length up to this is one byte: most messages in messages are no longer.
const SHORT: usize = 0x7f;

/// Wire types.
const VARINT: u32 = 0;
const LENGTH: u32 = 2;

impl<'b> Writer<'b> {
    /// Writes at the end of a buffer.
    pub fn new(buffer: &'b mut Vec<u8>) -> Self {
        Self(buffer)
    }

    /// A field of a whole number; 0 is what a reader takes for none.
    pub fn number(&mut self, field: u32, value: u32) {
        if value != 0 {
            self.key(field, VARINT);
            self.varint(value);
        }
    }

    /// A field of bytes or text.
    pub fn bytes(&mut self, field: u32, content: &[u8]) {
        self.key(field, LENGTH);
        self.length(content.len());
        self.0.extend_from_slice(content);
    }

    /// A field that is a message: `fill` writes its fields.
    pub fn message(&mut self, field: u32, fill: impl FnOnce(&mut Writer<'_>)) {
        self.key(field, LENGTH);
        let at = self.0.len();
        self.0.push(0);
        fill(self);
        let length = self.0.len().saturating_sub(at).saturating_sub(1);
        if length <= SHORT {
            if let Some(byte) = self.0.get_mut(at) {
                *byte = u8::try_from(length).unwrap_or(u8::MAX);
            }
        } else {
            // The length takes more than the one byte that was left for it.
            let mut bytes = Vec::new();
            Writer(&mut bytes).length(length);
            self.0.splice(at..at.saturating_add(1), bytes);
        }
    }

    fn key(&mut self, field: u32, kind: u32) {
        self.varint(field << 3 | kind);
    }

    /// A length of 4 GiB there is not; it would be read as broken.
    fn length(&mut self, length: usize) {
        self.varint(u32::try_from(length).unwrap_or(u32::MAX));
    }

    fn varint(&mut self, mut value: u32) {
        while value > 0x7f {
            self.0.extend(u8::try_from(value & 0x7f).map(|low| low | 0x80));
            value >>= 7;
        }
        self.0.extend(u8::try_from(value));
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use prost::encoding::{bytes, message, uint32};
    use prost::{DecodeError, Message};

    use super::*;

    /// A field, as both write it.
    #[derive(Clone, Debug)]
    enum Field {
        Number(u32),
        Bytes(Vec<u8>),
        Message(Fields),
    }

    #[derive(Clone, Debug, Default)]
    struct Fields(Vec<(u32, Field)>);

    impl Fields {
        fn write(&self, writer: &mut Writer<'_>) {
            for (number, field) in &self.0 {
                match field {
                    Field::Number(value) => writer.number(*number, *value),
                    Field::Bytes(content) => writer.bytes(*number, content),
                    Field::Message(fields) => writer.message(*number, |inner| fields.write(inner)),
                }
            }
        }
    }

    impl Message for Fields {
        fn encode_raw(&self, buffer: &mut impl prost::bytes::BufMut) {
            for (number, field) in &self.0 {
                match field {
                    Field::Number(0) => {}
                    Field::Number(value) => uint32::encode(*number, value, buffer),
                    Field::Bytes(content) => bytes::encode(*number, content, buffer),
                    Field::Message(fields) => message::encode(*number, fields, buffer),
                }
            }
        }

        fn encoded_len(&self) -> usize {
            let lengths = self.0.iter().map(|(number, field)| match field {
                Field::Number(0) => 0,
                Field::Number(value) => uint32::encoded_len(*number, value),
                Field::Bytes(content) => bytes::encoded_len(*number, content),
                Field::Message(fields) => message::encoded_len(*number, fields),
            });
            lengths.sum()
        }

        fn merge_field(
            &mut self,
            _: u32,
            _: prost::encoding::WireType,
            _: &mut impl prost::bytes::Buf,
            _: prost::encoding::DecodeContext,
        ) -> Result<(), DecodeError> {
            Ok(())
        }

        fn clear(&mut self) {}
    }

    fn fields() -> impl Strategy<Value = Fields> {
        let leaf = prop_oneof![
            any::<u32>().prop_map(Field::Number),
            (0..300_u32).prop_map(Field::Number),
            vec(any::<u8>(), 0..300).prop_map(Field::Bytes),
        ];
        let number = prop_oneof![1..20_u32, 1..300_000_u32];
        let list = |field| vec((number.clone(), field), 0..6).prop_map(Fields);
        let field = leaf.prop_recursive(4, 40, 6, {
            let number = number.clone();
            move |inner| vec((number.clone(), inner), 0..6).prop_map(|fields| Field::Message(Fields(fields)))
        });
        list(field.boxed())
    }

    #[test]
    fn lengths_of_every_size_are_written() {
        for length in [0, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152] {
            let bytes = Fields(vec![(1, Field::Bytes(vec![7; length])), (2, Field::Number(3))]);
            let fields = Fields(vec![(9, Field::Message(bytes)), (9, Field::Number(1))]);
            let mut written = Vec::new();
            fields.write(&mut Writer::new(&mut written));
            assert!(written == fields.encode_to_vec(), "{length}");
        }
    }

    proptest! {
        #[test]
        fn it_writes_what_an_encoder_does(fields in fields()) {
            let mut written = b"before".to_vec();
            fields.write(&mut Writer::new(&mut written));
            prop_assert_eq!(written, [b"before".to_vec(), fields.encode_to_vec()].concat());
        }
    }
}
