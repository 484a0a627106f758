/**
 * The payloads of Tribler's events. Later releases of Tribler add keys; the schemas let them pass.
 *
 * @module
 */

/** The state of the core, at the head of every stream. */
export interface TriblerStart {
  /** Whether the core has started. */
  tribler_started: boolean;
  /** The version of the core. */
  version: string;
}

/** A channel of torrents. */
export interface Channel {
  /** Its number in the local database. */
  id: number;
  /** Its public identifier: 40 lower-case hexadecimal digits. */
  dispersy_cid: string;
  /** Its name. */
  name: string;
  /** What it says of itself. */
  description: string;
  /** How many votes it has. */
  votes: number;
  /** How many torrents it holds. */
  torrents: number;
  /** How many called it spam. */
  spam: number;
  /** When it was last changed, in seconds since 1970. */
  modified: number;
  /** Whether the user has subscribed to it. */
  subscribed: boolean;
  /** How well it fits the search. */
  relevance_score: number;
}

/** A torrent. */
export interface Torrent {
  /** Its number in the local database. */
  id: number;
  /** Its infohash: 40 lower-case hexadecimal digits, or 64 for a torrent of version 2. */
  infohash: string;
  /** Its name; "Unnamed torrent" where it has none. */
  name: string;
  /** The size of its content, in bytes. */
  size: number;
  /** Its category; `xxx` is what the family filter leaves out. */
  category: string;
  /** How many peers have all of it. */
  num_seeders: number;
  /** How many peers have a part of it. */
  num_leechers: number;
  /** When its tracker was last asked, in seconds since 1970. */
  last_tracker_check: number;
  /** How well it fits the search. */
  relevance_score: number;
}

/** A channel that a search found. */
export interface ChannelResult {
  /** The keywords of the search, joined by a space. */
  query: string;
  /** What was found. */
  result: Channel;
}

/** A torrent that a search found. */
export interface TorrentResult {
  /** The keywords of the search, joined by a space. */
  query: string;
  /** What was found. */
  result: Torrent;
}

/** Something said to the user. */
export interface Text {
  /** The text, readable. */
  text: string;
}

/** A file in the watch folder. */
export interface WatchFolderFile {
  /** Its file name as it was found. */
  name: string;
}

/** A release of Tribler. */
export interface Version {
  /** Its version. */
  version: string;
}

/** A channel seen for the first time. */
export interface ChannelDiscovered {
  /** Its name. */
  name: string;
  /** What it says of itself. */
  description: string;
  /** Its public identifier: 40 lower-case hexadecimal digits. */
  dispersy_cid: string;
}

/** A torrent seen for the first time. */
export interface TorrentDiscovered {
  /** Its infohash: 40 lower-case hexadecimal digits, or 64 for a torrent of version 2. */
  infohash: string;
  /** When it was made, in seconds since 1970. */
  timestamp: number;
  /** Its name. */
  name: string;
  /** Its files: the path inside the torrent, and the size in bytes. */
  files: [path: string, size: number][];
  /** The URLs of its trackers. */
  trackers: string[];
  /** The channel it is in: 40 lower-case hexadecimal digits. */
  dispersy_cid: string;
}

/** A torrent that was removed from a channel. */
export interface TorrentRemoved {
  /** Its infohash: 40 lower-case hexadecimal digits, or 64 for a torrent of version 2. */
  infohash: string;
  /** The channel it was in: 40 lower-case hexadecimal digits. */
  dispersy_cid: string;
}

/** A torrent that is complete. */
export interface TorrentFinished {
  /** Its infohash: 40 lower-case hexadecimal digits, or 64 for a torrent of version 2. */
  infohash: string;
  /** Its name. */
  name: string;
  /** Whether it is kept from the user; since Tribler 7.3. */
  hidden?: boolean | undefined;
}

/** A torrent that went wrong. */
export interface TorrentFault {
  /** Its infohash: 40 lower-case hexadecimal digits, or 64 for a torrent of version 2. */
  infohash: string;
  /** What went wrong. */
  error: string;
  /** Whether it is kept from the user; since Tribler 7.3. */
  hidden?: boolean | undefined;
}

/** An amount of something that is traded. */
export interface Amount {
  /** How much of it. */
  amount: number;
  /** What it is: `BTC`, `MB`. */
  type: string;
}

/** What is offered for what: 10 `BTC` for 10 `MB`. */
export interface Assets {
  /** What is given. */
  first: Amount;
  /** What is wanted for it. */
  second: Amount;
}

/** An ask or a bid on the market. */
export interface Tick {
  /** The trader: lower-case hexadecimal digits. */
  trader_id: string;
  /** The number of the trader's order. */
  order_number: number;
  /** What is offered for what. */
  assets: Assets;
  /** How long it stands, in seconds. */
  timeout: number;
  /** When it was made, in seconds since 1970. */
  timestamp: number;
  /** How much of it has been traded. */
  traded: number;
  /** The block it is in: lower-case hexadecimal digits. */
  block_hash: string;
}

/** A trade between two traders. */
export interface Transaction {
  /** The trader: lower-case hexadecimal digits. */
  trader_id: string;
  /** The number of the trader's order. */
  order_number: number;
  /** The other trader: lower-case hexadecimal digits. */
  partner_trader_id: string;
  /** The number of the other trader's order. */
  partner_order_number: number;
  /** The number of the transaction. */
  transaction_number: number;
  /** What is traded for what. */
  assets: Assets;
  /** What has changed hands. */
  transferred: Assets;
  /** When it was made, in seconds since 1970. */
  timestamp: number;
  /** Whether everything was paid. */
  payment_complete: boolean;
  /** Where it stands. */
  status: string;
}

/** A trade that is complete. */
export interface TransactionComplete {
  /** The trade. */
  tx: Transaction;
  /** Whether the user is one of the two traders. */
  mine: boolean;
}

/** A payment within a trade. */
export interface Payment {
  /** The trader: lower-case hexadecimal digits. */
  trader_id: string;
  /** The number of the transaction. */
  transaction_number: number;
  /** What was paid. */
  transferred: Amount;
  /** What the payment network calls it. */
  payment_id: string;
  /** Who paid. */
  address_from: string;
  /** Who was paid. */
  address_to: string;
  /** When it was made, in seconds since 1970. */
  timestamp: number;
  /** Whether it succeeded. */
  success: boolean;
}

/** A field of a form. */
export interface RequiredField {
  /** The name of the field. */
  name: string;
  /** The kind of input: `text`, `password`, … */
  type: string;
  /** What the field is called to the user. */
  text: string;
  /** What stands in it while it is empty. */
  placeholder: string;
}

/** A form that the internet of money wants the user to fill in. */
export interface InputRequired {
  /** The form. */
  required_input: {
    /** The name of the form. */
    name: string;
    /** Its fields. */
    required_fields: RequiredField[];
    /** What was wrong with the last input. */
    error_text?: string | undefined;
    /** What is shown beside the fields. */
    additional_data: {
      /** A picture, in base64. */
      image?: string | undefined;
    };
  };
}

/** The disk is nearly full. */
export interface LowSpace {
  /** When it was looked at, in seconds since 1970. */
  time: number;
  /** The size of the disk, in bytes. */
  total: number;
  /** What is used of it, in bytes. */
  used: number;
  /** What is free, in bytes. */
  free: number;
  /** What is used of it, in percent. */
  percent: number;
}

/** An error of credit mining. */
export interface Message {
  /** What went wrong. */
  message: string;
}
