//! From words to tests of keys.

use super::words::{Word, split};
use super::{Comparison, Key, Literal, Node, Test};

/// How deep parentheses and NOT may be.
const DEPTH_MAX: usize = 100;

type Parsed<T> = Result<T, String>;

pub(super) fn parse(expression: &str, keys: &[Key]) -> Parsed<Node> {
    let words = split(expression)?;
    let mut parser = Parser { words: words.into_iter().peekable(), keys, depth: 0 };
    let node = parser.either()?;
    match parser.words.next() {
        None => Ok(node),
        Some(word) => Err(format!("{} was not expected", told(&word))),
    }
}

struct Parser<'a> {
    words: std::iter::Peekable<std::vec::IntoIter<Word>>,
    keys: &'a [Key],
    depth: usize,
}

fn told(word: &Word) -> String {
    match word {
        Word::Name(text) | Word::Quoted(text) | Word::Number(text) => text.clone(),
        Word::Text(text) => format!("'{text}'"),
        Word::Sign(sign) => (*sign).to_owned(),
    }
}

impl Parser<'_> {
    fn either(&mut self) -> Parsed<Node> {
        let mut node = self.both()?;
        while self.keyword("or") {
            node = Node::Or(Box::new(node), Box::new(self.both()?));
        }
        Ok(node)
    }

    fn both(&mut self) -> Parsed<Node> {
        let mut node = self.one()?;
        while self.keyword("and") {
            node = Node::And(Box::new(node), Box::new(self.one()?));
        }
        Ok(node)
    }

    fn one(&mut self) -> Parsed<Node> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("it is more than {DEPTH_MAX} deep"));
        }
        let node = if self.keyword("not") {
            Node::Not(Box::new(self.one()?))
        } else if self.sign("(") {
            let node = self.either()?;
            self.expect(")")?;
            node
        } else {
            self.test()?
        };
        self.depth -= 1;
        Ok(node)
    }

    fn test(&mut self) -> Parsed<Node> {
        let word = self.words.next().ok_or("it ends where a partition key was expected")?;
        let name = match word {
            Word::Name(name) | Word::Quoted(name) => name,
            // `'2022-06-18' <= dt`
            value @ (Word::Text(_) | Word::Number(_)) => {
                let comparison = self.comparison()?.ok_or("a comparison was expected")?.turned();
                let (Some(Word::Name(name)) | Some(Word::Quoted(name))) = self.words.next() else {
                    return Err("a comparison has to name a partition key".to_owned());
                };
                let number = self.number_of(&name)?;
                let test = Test::Compare(comparison, self.literal(number, value)?);
                return Ok(Node::Key(number, test));
            }
            Word::Sign(sign) => return Err(format!("{sign} was not expected")),
        };
        let key = self.number_of(&name)?;
        if let Some(comparison) = self.comparison()? {
            let test = Test::Compare(comparison, self.next_literal(key)?);
            return Ok(Node::Key(key, test));
        }
        if self.keyword("is") {
            let not = self.keyword("not");
            if !self.keyword("null") {
                return Err("NULL was expected".to_owned());
            }
            return Ok(negated(not, Node::Key(key, Test::IsNull)));
        }
        let not = self.keyword("not");
        let test = if self.keyword("between") {
            let least = self.next_literal(key)?;
            if !self.keyword("and") {
                return Err("AND was expected".to_owned());
            }
            Test::Between(least, self.next_literal(key)?)
        } else if self.keyword("in") {
            self.expect("(")?;
            let mut literals = vec![self.next_literal(key)?];
            while self.sign(",") {
                literals.push(self.next_literal(key)?);
            }
            self.expect(")")?;
            Test::In(literals)
        } else if self.keyword("like") {
            match self.next_literal(key)? {
                Literal::Text(pattern) => Test::Like(pattern.chars().collect()),
                _ => return Err(format!("partition key {name} is no text")),
            }
        } else {
            return Err(format!("a comparison was expected after {name}"));
        };
        Ok(negated(not, Node::Key(key, test)))
    }

    fn comparison(&mut self) -> Parsed<Option<Comparison>> {
        let comparison = match self.words.peek() {
            Some(Word::Sign("=" | "==")) => Comparison::Equal,
            Some(Word::Sign("<>" | "!=")) => Comparison::NotEqual,
            Some(Word::Sign("<")) => Comparison::Less,
            Some(Word::Sign("<=")) => Comparison::LessOrEqual,
            Some(Word::Sign(">")) => Comparison::Greater,
            Some(Word::Sign(">=")) => Comparison::GreaterOrEqual,
            _ => return Ok(None),
        };
        self.words.next();
        Ok(Some(comparison))
    }

    fn number_of(&self, name: &str) -> Parsed<usize> {
        let found = self.keys.iter().position(|key| key.name.eq_ignore_ascii_case(name));
        found.ok_or_else(|| {
            let names: Vec<_> = self.keys.iter().map(|key| key.name.as_str()).collect();
            format!("{name} is no partition key of the table, which has {names:?}")
        })
    }

    fn next_literal(&mut self, key: usize) -> Parsed<Literal> {
        // `date '2022-06-18'`, `timestamp '…'`
        if self.keyword("date") || self.keyword("timestamp") {
            return match self.words.next() {
                Some(Word::Text(text)) => self.literal(key, Word::Text(text)),
                _ => Err("a text was expected".to_owned()),
            };
        }
        let word = self.words.next().ok_or("it ends where a value was expected")?;
        self.literal(key, word)
    }

    fn literal(&self, key: usize, word: Word) -> Parsed<Literal> {
        let key = self.keys.get(key).ok_or("there is no such key")?;
        let wrong = |text: &str| format!("{text} is no value of partition key {} of type {}", key.name, key.kind);
        match word {
            Word::Text(text) => key.literal(&text).ok_or_else(|| wrong(&format!("'{text}'"))),
            Word::Number(text) if key.is_number() => key.literal(&text).ok_or_else(|| wrong(&text)),
            other => Err(wrong(&told(&other))),
        }
    }

    fn keyword(&mut self, keyword: &str) -> bool {
        self.words.next_if(|word| matches!(word, Word::Name(name) if name.eq_ignore_ascii_case(keyword))).is_some()
    }

    fn sign(&mut self, sign: &str) -> bool {
        self.words.next_if(|word| matches!(word, Word::Sign(found) if *found == sign)).is_some()
    }

    fn expect(&mut self, sign: &str) -> Parsed<()> {
        if self.sign(sign) { Ok(()) } else { Err(format!("{sign} was expected")) }
    }
}

fn negated(not: bool, node: Node) -> Node {
    if not { Node::Not(Box::new(node)) } else { node }
}

impl Comparison {
    /// The same, with its sides exchanged.
    fn turned(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            same => same,
        }
    }
}
