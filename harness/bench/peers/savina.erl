%% The same benchmarks as processes of Erlang/OTP. One virtual machine measures one benchmark:
%% `erl +S 1:1 -noshell -pa DIR -s savina main BENCH COUNT` warms up and prints operations a second.
%% Every benchmark checks what it receives; a wrong count or order ends the machine with a crash.
-module(savina).
-export([main/1]).

main([BenchAtom, CountAtom]) ->
    Count = list_to_integer(atom_to_list(CountAtom)),
    Bench = BenchAtom,
    %% A process of its own: the heap that the warm-up grew does not stay with the shell.
    measured(Bench, max(1000, Count div 4)),
    Micros = measured(Bench, Count),
    io:format("~.1f~n", [Count / Micros * 1.0e6]),
    halt(0).

measured(Bench, Count) ->
    Me = self(),
    {_, Ref} = spawn_monitor(fun() ->
        T0 = erlang:monotonic_time(microsecond),
        ok = bench(Bench, Count),
        Me ! {took, erlang:monotonic_time(microsecond) - T0}
    end),
    receive
        {took, Micros} -> erlang:demonitor(Ref, [flush]), Micros;
        {'DOWN', Ref, _, _, Why} -> io:format(standard_error, "~p~n", [Why]), halt(1)
    end.

bench(ping_pong, N) -> ping_pong(N, [], []);
%% Undocumented spawn option of the scheduler: one process on each of two.
bench(ping_pong_pinned, N) -> ping_pong(N, [{scheduler, 1}], [{scheduler, 2}]);
bench(counting, N) ->
    Me = self(),
    Counter = spawn_link(fun() -> counter(0, N, Me) end),
    spawn_link(fun() -> count_all(Counter, 0, N) end),
    receive {total, N} -> ok end;
bench(counting_window, N) ->
    Me = self(),
    Counter = spawn_link(fun() -> counter_window(0, N, Me) end),
    spawn_link(fun() -> count_window(Counter, 0, N, 0) end),
    receive {total, N} -> ok end;
bench(fan_in, N) -> fan_in(N, fun(Sink, P, Each) -> produce(Sink, P, 0, Each) end);
bench(fan_in_window, N) ->
    fan_in(N, fun(Sink, P, Each) -> produce_window(Sink, P, 0, Each, 0) end);
bench(thread_ring, N) ->
    First = make_ring(100, self()),
    First ! {token, N},
    receive ring_done -> First ! die, ok end;
bench(fork_join, N) -> fork_join(N, infinity);
bench(fork_join_window, N) -> fork_join(N, 200);
bench(fork_join_create, N) ->
    Me = self(),
    [spawn(fun() -> receive {live, From} -> From ! joined end end) ! {live, Me}
     || _ <- lists:seq(1, N)],
    wait_for(joined, N);
bench(big, N) ->
    Me = self(),
    Each = (N + 119) div 120,
    All = list_to_tuple([spawn_link(fun() -> big_start(I, Me) end) || I <- lists:seq(1, 120)]),
    [P ! {start, All, Each} || P <- tuple_to_list(All)],
    wait_for(big_done, 120),
    [P ! die || P <- tuple_to_list(All)],
    ok;
bench(chameneos, N) ->
    Me = self(),
    Mall = spawn_link(fun() -> mall(N, none, 100, 0, Me) end),
    [spawn_link(fun() -> creature(Mall, I rem 3, 0) end) || I <- lists:seq(1, 100)],
    Twice = 2 * N,
    receive {meetings, Twice} -> ok end;
bench(bank, N) ->
    Me = self(),
    Accounts = list_to_tuple([spawn_link(fun() -> account(100000.0, none, [], []) end)
                              || _ <- lists:seq(1, 1000)]),
    spawn_link(fun() -> teller(Accounts, max(N, 1000), Me) end),
    receive bank_done -> ok end,
    [P ! {close, Me} || P <- tuple_to_list(Accounts)],
    Total = lists:sum([receive {balance, B} -> B end || _ <- lists:seq(1, 1000)]),
    true = Total == 1000 * 100000.0,
    ok;
bench(request_reply, N) ->
    Server = spawn_link(fun server/0),
    ask_all(Server, 0, N),
    Server ! die,
    ok;
bench(idle_bytes, N) ->
    %% Not a rate: the memory of N idle processes, printed by its own branch.
    erlang:garbage_collect(),
    Before = erlang:memory(processes),
    All = [spawn(fun() -> receive die -> ok end end) || _ <- lists:seq(1, N)],
    Bytes = (erlang:memory(processes) - Before) / N,
    [P ! die || P <- All],
    io:format("~.1f~n", [Bytes]),
    halt(0).

wait_for(_, 0) -> ok;
wait_for(What, N) -> receive What -> wait_for(What, N - 1) end.

ping_pong(N, PingOn, PongOn) ->
    Me = self(),
    Pong = spawn_opt(fun pong/0, [link | PongOn]),
    spawn_opt(fun() -> ping(Pong, 0, N), Pong ! stop, Me ! fin end, [link | PingOn]),
    receive fin -> ok end.
pong() -> receive {ping, From, I} -> From ! {pong, I}, pong(); stop -> ok end.
ping(_, N, N) -> ok;
ping(Pong, I, N) -> Pong ! {ping, self(), I}, receive {pong, I} -> ping(Pong, I + 1, N) end.

counter(N, N, Me) -> Me ! {total, N};
counter(I, N, Me) -> receive {count, I} -> counter(I + 1, N, Me) end.
count_all(_, N, N) -> ok;
count_all(Counter, I, N) -> Counter ! {count, I}, count_all(Counter, I + 1, N).

counter_window(N, N, Me) -> Me ! {total, N};
counter_window(I, N, Me) ->
    receive
        {count, I} -> counter_window(I + 1, N, Me);
        {count, I, From} -> From ! ack, counter_window(I + 1, N, Me)
    end.
count_window(_, N, N, _) -> ok;
count_window(Counter, I, N, Out) when Out >= 1000 ->
    receive ack -> count_window(Counter, I, N, Out - 500) end;
count_window(Counter, I, N, Out) when I rem 500 =:= 499 ->
    Counter ! {count, I, self()}, count_window(Counter, I + 1, N, Out + 1);
count_window(Counter, I, N, Out) ->
    Counter ! {count, I}, count_window(Counter, I + 1, N, Out + 1).

fan_in(N, Produce) ->
    Me = self(),
    Each = (N + 7) div 8,
    All = 8 * Each,
    Sum = 8 * (Each * (Each - 1) div 2),
    Sink = spawn_link(fun() -> sink(0, 0, All, Me) end),
    [spawn_link(fun() -> Produce(Sink, P, Each) end) || P <- lists:seq(1, 8)],
    receive {total, All, Sum} -> ok end.
sink(N, Sum, N, Me) -> Me ! {total, N, Sum};
sink(I, Sum, N, Me) ->
    receive
        {take, _P, S} -> sink(I + 1, Sum + S, N, Me);
        {take, _P, S, From} -> From ! ack, sink(I + 1, Sum + S, N, Me)
    end.
produce(_, _, N, N) -> ok;
produce(Sink, P, I, N) -> Sink ! {take, P, I}, produce(Sink, P, I + 1, N).
produce_window(_, _, N, N, _) -> ok;
produce_window(Sink, P, I, N, Out) when Out >= 200 ->
    receive ack -> produce_window(Sink, P, I, N, Out - 100) end;
produce_window(Sink, P, I, N, Out) when I rem 100 =:= 99 ->
    Sink ! {take, P, I, self()}, produce_window(Sink, P, I + 1, N, Out + 1);
produce_window(Sink, P, I, N, Out) ->
    Sink ! {take, P, I}, produce_window(Sink, P, I + 1, N, Out + 1).

make_ring(Size, Me) ->
    Last = spawn_link(fun() -> receive {next, Next} -> ring_node(Next, Me) end end),
    First = lists:foldl(fun(_, Next) -> spawn_link(fun() -> ring_node(Next, Me) end) end,
                        Last, lists:seq(2, Size)),
    Last ! {next, First},
    First.
ring_node(Next, Me) ->
    receive
        {token, 0} -> Me ! ring_done, ring_node(Next, Me);
        {token, Left} -> Next ! {token, Left - 1}, ring_node(Next, Me);
        die -> Next ! die
    end.

fork_join(N, Window) ->
    Me = self(),
    Each = (N + 59) div 60,
    Workers = [spawn_link(fun() -> worker(0, Each, Me) end) || _ <- lists:seq(1, 60)],
    hand_out(Workers, 0, Each, Window),
    [receive {joined, W} -> ok end || W <- Workers],
    ok.
worker(N, N, Me) -> Me ! {joined, self()};
worker(I, N, Me) ->
    receive
        {work, I} ->
            _ = math:sin(37.2) * math:sin(37.2),
            worker(I + 1, N, Me);
        {sync, From} -> From ! synced, worker(I, N, Me)
    end.
hand_out(_, N, N, _) -> ok;
hand_out(Workers, I, N, Window) when is_integer(Window), I rem Window =:= Window - 1 ->
    [begin W ! {sync, self()}, W ! {work, I} end || W <- Workers],
    [receive synced -> ok end || _ <- Workers],
    hand_out(Workers, I + 1, N, Window);
hand_out(Workers, I, N, Window) ->
    [W ! {work, I} || W <- Workers],
    hand_out(Workers, I + 1, N, Window).

big_start(Seed, Me) -> receive {start, All, Each} -> big(0, Each, All, Seed * 7919, Me) end.
big(N, N, _, _, Me) -> Me ! big_done, big_serve();
big(I, N, All, Draw0, Me) ->
    Draw = xorshift(Draw0),
    element(1 + Draw rem 120, All) ! {ping, self(), I},
    big_wait(I, N, All, Draw, Me).
big_wait(I, N, All, Draw, Me) ->
    receive
        {ping, From, S} -> From ! {pong, S}, big_wait(I, N, All, Draw, Me);
        {pong, I} -> big(I + 1, N, All, Draw, Me)
    end.
big_serve() -> receive {ping, From, S} -> From ! {pong, S}, big_serve(); die -> ok end.
xorshift(A) ->
    B = (A bxor (A bsl 13)) band 16#ffffffff,
    C = B bxor (B bsr 17),
    (C bxor (C bsl 5)) band 16#ffffffff.

mall(0, none, Left, Sum, Me) -> mall_close(Left, Sum, Me);
mall(N, none, Left, Sum, Me) ->
    receive {meet, P, C} -> mall(N, {P, C}, Left, Sum, Me) end;
mall(N, {P1, C1}, Left, Sum, Me) ->
    receive
        {meet, P2, C2} ->
            P1 ! {met, C2},
            P2 ! {met, C1},
            mall(N - 1, none, Left, Sum, Me)
    end.
mall_close(0, Sum, Me) -> Me ! {meetings, Sum};
mall_close(Left, Sum, Me) ->
    receive
        {meet, P, _} -> P ! leave, mall_close(Left, Sum, Me);
        {left, K} -> mall_close(Left - 1, Sum + K, Me)
    end.
creature(Mall, Colour, K) ->
    Mall ! {meet, self(), Colour},
    receive
        {met, C} -> creature(Mall, (Colour + C) rem 3, K + 1);
        leave -> Mall ! {left, K}
    end.

%% In and Out together are a queue: appending costs nothing, order is kept.
account(Balance, Busy, Out, In) ->
    receive
        {credit, Amount, From} -> From ! credited, account(Balance + Amount, Busy, Out, In);
        credited -> Busy ! done, next_debit(Balance, Out, In);
        {debit, _, _, _} = D when Busy =:= none -> debit(Balance, D, Out, In);
        {debit, _, _, _} = D -> account(Balance, Busy, Out, [D | In]);
        {close, From} -> From ! {balance, Balance}
    end.
next_debit(Balance, [], []) -> account(Balance, none, [], []);
next_debit(Balance, [], In) -> next_debit(Balance, lists:reverse(In), []);
next_debit(Balance, [D | Out], In) -> debit(Balance, D, Out, In).
debit(Balance, {debit, Amount, To, Teller}, Out, In) ->
    To ! {credit, Amount, self()},
    account(Balance - Amount, Teller, Out, In).
teller(Accounts, N, Me) ->
    rand:seed(exsss, {1, 2, 3}),
    [transfer(Accounts) || _ <- lists:seq(1, 1000)],
    teller_loop(Accounts, N - 1000),
    wait_for(done, 1000),
    Me ! bank_done.
teller_loop(_, 0) -> ok;
teller_loop(Accounts, N) -> receive done -> transfer(Accounts), teller_loop(Accounts, N - 1) end.
transfer(Accounts) ->
    Source = rand:uniform(999),
    Target = Source + rand:uniform(1000 - Source),
    element(Source, Accounts) ! {debit, 1.5, element(Target, Accounts), self()}.

%% What gen_server:call does: a monitor carries the reply's reference, a timeout bounds the wait.
server() -> receive {call, {From, Ref}, X} -> From ! {Ref, X + 1}, server(); die -> ok end.
ask_all(_, N, N) -> ok;
ask_all(Server, I, N) ->
    Ref = erlang:monitor(process, Server),
    Server ! {call, {self(), Ref}, I},
    Reply = I + 1,
    receive
        {Ref, Reply} -> erlang:demonitor(Ref, [flush]);
        {'DOWN', Ref, _, _, Why} -> exit(Why)
    after 60000 -> exit(timeout)
    end,
    ask_all(Server, I + 1, N).
