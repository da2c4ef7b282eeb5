import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.ListGroupsOptions;
import org.apache.kafka.clients.admin.MemberToRemove;
import org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.UnknownMemberIdException;

/** Consumer groups, as members and as an administrator. */
final class Groups {
    private static final Map<String, Object> QUICK = Map.of("heartbeat.interval.ms", 300, "session.timeout.ms", 10000);

    private final Steps steps;
    private final Connections to;

    Groups(Steps steps, Connections to) {
        this.steps = steps;
        this.to = to;
    }

    void run() {
        for (String assignor : List.of("RangeAssignor", "CooperativeStickyAssignor")) {
            steps.step("group: " + assignor + ", rebalances, commit, go on", () -> rebalance(assignor));
        }
        steps.step("group: static member comes back without a rebalance", this::staticMember);
        steps.step("group: group.protocol=consumer (KIP-848)", "clients must ask for it, and the classic protocol does the same", this::newProtocol);
        steps.step("admin: list and describe groups", this::describe);
        steps.step("admin: alter and delete offsets of a group", this::offsets);
        steps.step("admin: remove members of a group", this::remove);
        steps.step("admin: delete a group", this::delete);
    }

    private Consumer<String, String> member(String group, String topic, Map<String, Object> more) {
        Consumer<String, String> consumer = to.consumer(group, Steps.with(QUICK, more));
        consumer.subscribe(List.of(topic));
        return consumer;
    }

    @SafeVarargs
    private static void owns(int each, Consumer<String, String>... members) throws Exception {
        Steps.until(each + " partitions for each of " + members.length, () -> {
            Stream.of(members).forEach(m -> m.poll(Duration.ofMillis(20)));
            return Stream.of(members).allMatch(m -> m.assignment().size() == each);
        });
    }

    private Object rebalance(String assignor) throws Exception {
        String topic = to.create("group-" + assignor, 4, Map.of()), group = steps.named(assignor);
        Map<String, Object> more = Map.of("partition.assignment.strategy", "org.apache.kafka.clients.consumer." + assignor);
        try (var first = member(group, topic, more)) {
            owns(4, first);
            try (var second = member(group, topic, more)) {
                owns(2, first, second);
            }
            owns(4, first);
            to.send(topic, Map.of(), "a", "b");
            Steps.same(Connections.take(first, 2), List.of("a", "b"));
            first.commitSync(Duration.ofSeconds(10));
        }
        to.send(topic, Map.of(), "c");
        try (var again = member(group, topic, more)) {
            Steps.same(Connections.take(again, 1), List.of("c"));
        }
        return null;
    }

    private Object staticMember() throws Exception {
        String topic = to.create("static", 2, Map.of()), group = steps.named("static");
        String before = null;
        for (int life = 0; life < 2; life++) {
            try (var member = member(group, topic, Map.of("group.instance.id", "one"))) {
                owns(2, member);
                String now = "generation " + member.groupMetadata().generationId();
                Steps.same(now, before == null ? now : before);
                before = now;
            }
        }
        return before;
    }

    private Object newProtocol() throws Exception {
        String topic = to.create("new-group", 2, Map.of()), group = steps.named("new-group");
        for (String value : List.of("a", "b")) {
            to.send(topic, Map.of(), value);
            try (var member = to.consumer(group, Map.of("group.protocol", "consumer"))) {
                member.subscribe(List.of(topic));
                Steps.same(Connections.take(member, 1), List.of(value));
                member.commitSync(Duration.ofSeconds(10));
            }
        }
        return null;
    }

    private Object describe() throws Exception {
        String topic = to.create("described", 2, Map.of()), group = steps.named("described");
        try (var member = member(group, topic, Map.of("client.id", "me"))) {
            owns(2, member);
            member.commitSync(Map.of(new TopicPartition(topic, 0), new OffsetAndMetadata(5, "note")));
            var found = Connections.get(to.admin.describeConsumerGroups(List.of(group)).describedGroups().get(group));
            Steps.same(List.of(found.groupState(), found.members().size(), found.partitionAssignor()), List.of(GroupState.STABLE, 1, "range"));
            var one = found.members().iterator().next();
            Steps.same(List.of(one.clientId(), one.assignment().topicPartitions().size()), List.of("me", 2));
            Steps.same(listed(ListGroupsOptions.forConsumerGroups().inGroupStates(Set.of(GroupState.STABLE)), group), true);
        }
        Steps.same(listed(new ListGroupsOptions().inGroupStates(Set.of(GroupState.STABLE)), group), false);
        Steps.same(listed(new ListGroupsOptions(), group), true);
        return null;
    }

    private boolean listed(ListGroupsOptions options, String group) throws Exception {
        return Connections.get(to.admin.listGroups(options).all()).stream().anyMatch(g -> g.groupId().equals(group));
    }

    private Object offsets() throws Exception {
        String group = steps.named("described");
        TopicPartition first = new TopicPartition(steps.named("described"), 0), second = new TopicPartition(steps.named("described"), 1);
        var stored = Connections.get(to.admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata());
        Steps.same(stored, Map.of(first, new OffsetAndMetadata(5, "note")));
        Connections.get(to.admin.alterConsumerGroupOffsets(group, Map.of(second, new OffsetAndMetadata(7))).all());
        Steps.same(to.committed(group, second), 7L);
        Connections.get(to.admin.deleteConsumerGroupOffsets(group, Set.of(first)).all());
        Steps.same(List.of(to.committed(group, first), to.committed(group, second)), List.of(-1L, 7L));
        return null;
    }

    private Object remove() throws Exception {
        String topic = to.create("removed", 1, Map.of()), group = steps.named("removed");
        try (var member = member(group, topic, Map.of("group.instance.id", "gone"))) {
            owns(1, member);
            var options = new RemoveMembersFromConsumerGroupOptions(Set.of(new MemberToRemove("gone")));
            Connections.get(to.admin.removeMembersFromConsumerGroup(group, options).all());
            Steps.eventually("the group to be empty", () -> Connections.get(to.admin.describeConsumerGroups(List.of(group)).describedGroups().get(group)).members().isEmpty());
        }
        Steps.refused(UnknownMemberIdException.class, () -> Connections.get(to.admin.removeMembersFromConsumerGroup(group,
            new RemoveMembersFromConsumerGroupOptions(Set.of(new MemberToRemove("gone")))).memberResult(new MemberToRemove("gone"))));
        return null;
    }

    private Object delete() throws Exception {
        String group = steps.named("described");
        Connections.get(to.admin.deleteConsumerGroups(List.of(group)).all());
        Steps.same(listed(new ListGroupsOptions(), group), false);
        return null;
    }
}
