//! The parser of expressions.

use super::tokens::{Token, split};
use super::{Comparison, Key, Literal, Node, Test};

/// The maximum depth of parentheses and NOT.
const DEPTH_MAX: usize = 100;

type Parsed<T> = Result<T, String>;

pub(super) fn parse(expression: &str, keys: &[Key]) -> Parsed<Node> {
    let tokens = split(expression)?;
    let mut parser = Parser { tokens: tokens.into_iter().peekable(), keys, depth: 0 };
    let node = parser.disjunction()?;
    match parser.tokens.next() {
        None => Ok(node),
        Some(token) => Err(format!("{} was not expected", display(&token))),
    }
}

struct Parser<'a> {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    keys: &'a [Key],
    depth: usize,
}

fn display(token: &Token) -> String {
    match token {
        Token::Name(text) | Token::Quoted(text) | Token::Number(text) => text.clone(),
        Token::Text(text) => format!("'{text}'"),
        Token::Sign(sign) => (*sign).to_owned(),
    }
}

impl Parser<'_> {
    fn disjunction(&mut self) -> Parsed<Node> {
        let mut node = self.conjunction()?;
        while self.keyword("or") {
            node = Node::Or(Box::new(node), Box::new(self.conjunction()?));
        }
        Ok(node)
    }

    fn conjunction(&mut self) -> Parsed<Node> {
        let mut node = self.negation()?;
        while self.keyword("and") {
            node = Node::And(Box::new(node), Box::new(self.negation()?));
        }
        Ok(node)
    }

    fn negation(&mut self) -> Parsed<Node> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("it is nested more than {DEPTH_MAX} levels deep"));
        }
        let node = if self.keyword("not") {
            Node::Not(Box::new(self.negation()?))
        } else if self.sign("(") {
            let node = self.disjunction()?;
            self.expect(")")?;
            node
        } else {
            self.test()?
        };
        self.depth -= 1;
        Ok(node)
    }

    fn test(&mut self) -> Parsed<Node> {
        let token = self.tokens.next().ok_or("it ends where a partition key was expected")?;
        let name = match token {
            Token::Name(name) | Token::Quoted(name) => name,
            // `'2022-06-18' <= dt`
            value @ (Token::Text(_) | Token::Number(_)) => {
                let comparison = self.comparison()?.ok_or("a comparison was expected")?.mirror();
                let (Some(Token::Name(name)) | Some(Token::Quoted(name))) = self.tokens.next() else {
                    return Err("a comparison needs a partition key".to_owned());
                };
                let number = self.position_of(&name)?;
                let test = Test::Compare(comparison, self.literal(number, value)?);
                return Ok(Node::Key(number, test));
            }
            Token::Sign(sign) => return Err(format!("{sign} was not expected")),
        };
        let key = self.position_of(&name)?;
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
                _ => return Err(format!("partition key {name} is not text")),
            }
        } else {
            return Err(format!("a comparison was expected after {name}"));
        };
        Ok(negated(not, Node::Key(key, test)))
    }

    fn comparison(&mut self) -> Parsed<Option<Comparison>> {
        let comparison = match self.tokens.peek() {
            Some(Token::Sign("=" | "==")) => Comparison::Equal,
            Some(Token::Sign("<>" | "!=")) => Comparison::NotEqual,
            Some(Token::Sign("<")) => Comparison::Less,
            Some(Token::Sign("<=")) => Comparison::LessOrEqual,
            Some(Token::Sign(">")) => Comparison::Greater,
            Some(Token::Sign(">=")) => Comparison::GreaterOrEqual,
            _ => return Ok(None),
        };
        self.tokens.next();
        Ok(Some(comparison))
    }

    fn position_of(&self, name: &str) -> Parsed<usize> {
        let found = self.keys.iter().position(|key| key.name.eq_ignore_ascii_case(name));
        found.ok_or_else(|| {
            let names: Vec<_> = self.keys.iter().map(|key| key.name.as_str()).collect();
            format!("{name} is not a partition key of the table, expected one of {names:?}")
        })
    }

    fn next_literal(&mut self, key: usize) -> Parsed<Literal> {
        // `date '2022-06-18'`, `timestamp '…'`
        if self.keyword("date") || self.keyword("timestamp") {
            return match self.tokens.next() {
                Some(Token::Text(text)) => self.literal(key, Token::Text(text)),
                _ => Err("a text was expected".to_owned()),
            };
        }
        let token = self.tokens.next().ok_or("it ends where a value was expected")?;
        self.literal(key, token)
    }

    fn literal(&self, key: usize, token: Token) -> Parsed<Literal> {
        let key = self.keys.get(key).ok_or("there is no such key")?;
        let wrong = |text: &str| format!("{text} is not a value of partition key {} of type {}", key.name, key.kind);
        match token {
            Token::Text(text) => key.literal(&text).ok_or_else(|| wrong(&format!("'{text}'"))),
            Token::Number(text) if key.is_number() => key.literal(&text).ok_or_else(|| wrong(&text)),
            other => Err(wrong(&display(&other))),
        }
    }

    fn keyword(&mut self, keyword: &str) -> bool {
        self.tokens.next_if(|token| matches!(token, Token::Name(name) if name.eq_ignore_ascii_case(keyword))).is_some()
    }

    fn sign(&mut self, sign: &str) -> bool {
        self.tokens.next_if(|token| matches!(token, Token::Sign(found) if *found == sign)).is_some()
    }

    fn expect(&mut self, sign: &str) -> Parsed<()> {
        if self.sign(sign) { Ok(()) } else { Err(format!("{sign} was expected")) }
    }
}

fn negated(not: bool, node: Node) -> Node {
    if not { Node::Not(Box::new(node)) } else { node }
}

impl Comparison {
    /// The comparison with its sides exchanged.
    fn mirror(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            same => same,
        }
    }
}
